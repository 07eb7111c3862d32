"""Everything breaks at once, at random, from a seed: `python -m tests.torture --seed N`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

import click

from tests.torture.report import stories, table
from tests.torture.run import Run

#: Seconds for each kill: the daemon takes a while to start, and is to get some work done in between.
SECONDS_A_KILL = 2.3


def main() -> int:
    """Run, print the stories of what went wrong and the table; 1 if anything was lost, doubled, wrong or disabled."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000))
    parser.add_argument("--requests", type=int, default=3000, help="messages to publish, at least")
    parser.add_argument("--kills", type=int, default=200, help="kill -9 of the daemon, at least")
    parser.add_argument("--minutes", type=float, help="of breakage; default: as the kills need")
    parser.add_argument("--keep", type=Path, help="leave logs, ledger and broker's files in this new folder")
    wanted = parser.parse_args()
    seconds = wanted.minutes * 60 if wanted.minutes else wanted.kills * SECONDS_A_KILL
    if wanted.keep:
        wanted.keep.mkdir(parents=True)
    click.echo(f"seed {wanted.seed}: {wanted.requests} requests and {wanted.kills} kills in {seconds:.0f} s and more")
    with tempfile.TemporaryDirectory(prefix="zkbridge-torture-") as folder:
        run = Run(
            wanted.keep or Path(folder),
            seed=wanted.seed,
            requests=wanted.requests,
            kills=wanted.kills,
            seconds=seconds,
            tell=click.echo,
        )
        result = run.go()
        for story in stories(result):
            click.echo(f"\n{story}")
        click.echo(f"\n{table(result)}")
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
