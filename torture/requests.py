"""Callers ask for users while everything breaks at random, from a seed: `python -m torture requests --seed N`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import click

from torture.frame import Outcome, run_program
from torture.report import stories, table
from torture.run import Run

#: Seconds for each kill: the daemon takes a while to start, and is to get some work done in between.
SECONDS_A_KILL = 2.3


def main(arguments: Sequence[str]) -> int:
    """Run, print the stories of what went wrong and the table; 1 if anything was lost, doubled, wrong or disabled."""
    parser = argparse.ArgumentParser(prog="requests", description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="messages to publish, at least")
    parser.add_argument("--kills", type=int, default=200, help="kill -9 of the daemon, at least")
    parser.add_argument("--minutes", type=float, help="of breakage; default: as the kills need")
    return run_program(parser, arguments, _run)


def _run(wanted: argparse.Namespace, folder: Path) -> Outcome:
    seconds = wanted.minutes * 60 if wanted.minutes else wanted.kills * SECONDS_A_KILL
    click.echo(f"seed {wanted.seed}: {wanted.requests} requests and {wanted.kills} kills in {seconds:.0f} s and more")
    run = Run(folder, seed=wanted.seed, requests=wanted.requests, kills=wanted.kills, seconds=seconds, tell=click.echo)
    result = run.go()
    lines = [line for story in stories(result) for line in ("", story)]
    return Outcome([*lines, "", table(result)], bool(result.findings))
