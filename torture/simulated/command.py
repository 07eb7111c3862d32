"""Run the bridge in a simulated world: `python -m torture world`. Exit code 1 where a promise was broken."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from torture.simulated.bugs import BUGS, Bug
from torture.simulated.coverage import PAIRS, missing
from torture.simulated.minimise import minimise
from torture.simulated.oracle import judge
from torture.simulated.plan import Event, draw
from torture.simulated.program import simulated
from torture.simulated.setting import folder
from torture.simulated.world import World

#: Steps of the program that an event stands for, the end without faults included.
STEPS_PER_EVENT = 33
#: Seeds, at most, in which a bug must be found.
SEEDS_FOR_A_BUG = 400


class Runs:
    """Worlds, one after the other, and what is counted over all of them."""

    def __init__(self, folder: Path) -> None:
        self.seeds = self.steps = 0
        self.events: Counter[str] = Counter()
        self.met: Counter[tuple[str, str]] = Counter()
        self._folder = folder

    def run(self, seed: int, events: Sequence[Event], *, tells: bool = False) -> tuple[list[str], World]:
        """One world; what the bridge did wrong in it."""
        place = self._folder / f"{self.seeds}"
        self.seeds += 1
        place.mkdir()
        try:
            world = World(place, seed=seed, tells=tells)
            world.run(events)
            found = list(judge(world))
        finally:
            shutil.rmtree(place)
        self.steps += world.machine.steps
        self.events.update(event.name for event in events)
        self.met += world.met
        return found, world


def main(arguments: Sequence[str]) -> int:
    """Read the arguments, and run."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is a part of what a seed decides
        os.execve(
            sys.executable,
            [sys.executable, "-m", "torture", "world", *arguments],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    wanted = _parser().parse_args(arguments)
    events = max(1, wanted.steps // STEPS_PER_EVENT)
    with simulated(), folder() as place:
        if wanted.bugs is not None:
            return _find_bugs(place, wanted.bugs, seed=wanted.seed, events=events)
        return _search(Runs(place), wanted, events)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("world", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, help="so many seeds; else as many as fit into the time")
    parser.add_argument("--minutes", type=float, default=5.0, help="stop after so long (default 5)")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of the bridge in one run, roughly")
    parser.add_argument("--story", action="store_true", help="tell what happens in the first seed, and end")
    parser.add_argument(
        "--bugs", nargs="*", metavar="NAME", help="put each bug into the bridge, or these, and see that it is found"
    )
    return parser


def _search(runs: Runs, wanted: argparse.Namespace, events: int) -> int:
    if wanted.story:
        found, world = runs.run(wanted.seed, draw(wanted.seed, events), tells=True)
        _tell(world.story, found)
        return 1 if found else 0
    began, cpu, seed, failed = time.monotonic(), time.process_time(), wanted.seed, 0
    while (
        wanted.seeds is None or seed < wanted.seed + wanted.seeds
    ) and time.monotonic() - began < wanted.minutes * 60:
        plan = draw(seed, events)
        found, _ = runs.run(seed, plan)
        if found:
            failed += 1
            _explain(runs, seed, plan, found)
            if failed == 3:
                break
        seed += 1
    cpu = time.process_time() - cpu
    happened = ", ".join(f"{name} {count:,}" for name, count in runs.events.most_common())
    click.echo(
        f"seeds {wanted.seed} to {seed - 1}, {runs.steps:,} steps in {cpu:.0f} s of CPU: {_rate(runs.steps, cpu)}"
    )
    click.echo(f"events: {happened}")
    left = [f"{state} + {event}" for state, event in missing(runs.met)]
    click.echo(f"pairs of a request's state and an event that were met: {len(PAIRS) - len(left)} of {len(PAIRS)}")
    if left:
        click.echo(f"not met: {'; '.join(left)}")
    click.echo(f"findings {failed}")
    return 1 if failed else 0


def _rate(steps: int, seconds: float) -> str:
    return f"{steps / max(seconds, 0.001):,.0f} a second, {steps * 60 / max(seconds, 0.001) / 1e6:.1f} million a minute"


def _explain(runs: Runs, seed: int, plan: list[Event], found: list[str]) -> None:
    """Cut the plan down to what it takes, and tell that as a story."""
    wanted = _kind(found[0])
    click.echo(f"seed {seed}: {found[0]}")
    shorter = minimise(plan, lambda events: any(_kind(each) == wanted for each in runs.run(seed, events)[0]))
    told, world = runs.run(seed, shorter, tells=True)
    click.echo(f"{len(shorter)} of {len(plan)} events are enough: {' '.join(event.name for event in shorter)}")
    _tell(world.story, told)


def _tell(story: list[str], found: list[str]) -> None:
    for line in [*story, *(f"BROKEN: {each}" for each in found)]:
        click.echo(f"  {line}")


def _kind(sentence: str) -> str:
    """A finding without its numbers: the same fault in a shorter plan has others."""
    return re.sub(r"[0-9.]+", "#", sentence)[:60]


def _find_bugs(place: Path, names: Sequence[str], *, seed: int, events: int) -> int:
    chosen = [bug for bug in BUGS if not names or bug.name in names]
    missed = 0
    click.echo("| bug | found after | by |\n|---|---|---|")
    for number, bug in enumerate(chosen):
        (place / str(number)).mkdir()
        found, steps, after = _find(bug, Runs(place / str(number)), seed, events)
        missed += not found
        click.echo(f"| {bug.name}: {bug.does} | {f'{steps:,} steps, {after}' if found else 'NOT FOUND'} | {found} |")
    click.echo(f"{len(chosen)} bugs, {len(chosen) - missed} found, {missed} missed")
    return 1 if missed else 0


def _find(bug: Bug, runs: Runs, seed: int, events: int) -> tuple[str, int, str]:
    """What gave a bug away, and the steps, seconds of CPU and seeds until then."""
    began = time.process_time()
    with bug.put_in():
        for each in range(seed, seed + SEEDS_FOR_A_BUG):
            found, _ = runs.run(each, draw(each, events))
            if found:
                return found[0], runs.steps, f"{time.process_time() - began:.1f} s, seed {each}"
    return "", runs.steps, ""
