"""Look for inputs that break a promise: `python -m tests.fuzz [HALF] --minutes N --seed N`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from random import SystemRandom

import click

from tests.fuzz.message import MESSAGE
from tests.fuzz.result import Result
from tests.fuzz.terminal import TERMINAL

#: Each half by its name: it gets the first seed and the seconds that it may take.
HALVES: dict[str, Callable[[int, float], Result]] = {"message": MESSAGE.run, "terminal": TERMINAL.run}


def main() -> int:
    """Run the halves one after the other, each its share of the time; 1 if an example broke a promise."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("half", nargs="?", choices=sorted(HALVES), help="default: all, one after the other")
    parser.add_argument("--minutes", type=float, default=60, help="for everything")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000), help="the first one")
    wanted = parser.parse_args()
    halves = [wanted.half] if wanted.half else sorted(HALVES)
    click.echo(f"seed {wanted.seed}: {', '.join(halves)} for {wanted.minutes:g} minutes")
    results = [HALVES[half](wanted.seed, wanted.minutes * 60 / len(halves)) for half in halves]
    for result in results:
        if result.failure is not None:
            click.echo(f"\n{result.half}: {result.failure}")
    click.echo("\n" + "\n".join(map(str, results)))
    return 1 if any(result.failure for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
