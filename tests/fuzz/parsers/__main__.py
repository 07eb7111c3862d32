"""Fuzz the public parsers, guided by coverage: `python -m tests.fuzz.parsers [TARGET …] --minutes N --seed N`.

With `--input FILE` a target parses that file once, without the fuzzer.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple

import click

from tests.fuzz.parsers.target import Target
from tests.fuzz.parsers.targets import TARGETS

#: Seconds that one input may take, and megabytes that the process may have.
MOST_S, MOST_MB = 5, 700
#: Where what was found to be new stays for the next run, and what broke a promise.
CORPUS = Path("build/fuzz")
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_FIGURES = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+)")


class Ran(NamedTuple):
    """What became of a target: executions, seconds, places of the program that were met, and what was wrong."""

    target: str
    executions: int
    seconds: int
    places: int
    failure: str

    def __str__(self) -> str:
        end = "FAILED" if self.failure else "clean"
        return f"{self.target:<10} {self.executions:>10} executions {self.seconds:>5} s {self.places:>6} places  {end}"


def run(target: Target, *, seconds: int, seed: int) -> Ran:
    """Fuzz one target for so many seconds, or until it fails; its corpus stays in the folder `build/fuzz`."""
    folder = CORPUS / target.name
    corpus, found = folder / "corpus", folder / "found"
    for each in (corpus, found):
        each.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(content[: target.longest])
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in (*target.words(), "\0", "\n")))
    options = [
        *(f"-seed={seed}", f"-max_total_time={seconds}", f"-max_len={target.longest}", f"-timeout={MOST_S}"),
        *(f"-rss_limit_mb={MOST_MB}", f"-dict={dictionary}", f"-artifact_prefix={found}/", "-print_final_stats=1"),
    ]
    process = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.parsers.guided", target.name, *options, str(corpus)],
        capture_output=True,
        check=False,
    )
    said = (process.stdout + process.stderr).decode(errors="replace")
    done, figures = _DONE.search(said), _FIGURES.findall(said)
    executions = int(done[1]) if done else int(figures[-1][0]) if figures else 0
    places = int(figures[-1][1]) if figures else 0
    failure = "" if process.returncode == 0 and done else said[-4000:]
    return Ran(target.name, executions, int(done[2]) if done else 0, places, failure)


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def main() -> int:
    """Run the targets in turn, each its share of the time; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="fuzz-parsers", description=__doc__)
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--minutes", type=float, default=60, help="for everything")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--input", type=Path, help="parse this file with the target, once")
    wanted = parser.parse_args()
    if unknown := [name for name in wanted.target if name not in TARGETS]:
        parser.error(f"no such target: {', '.join(unknown)}")
    chosen = [TARGETS[name] for name in wanted.target or TARGETS]
    if wanted.input is not None:
        chosen[0].run(wanted.input.read_bytes())
        return 0
    seconds = max(1, round(wanted.minutes * 60 / len(chosen)))
    click.echo(f"seed {wanted.seed}: {len(chosen)} targets, {seconds} s each")
    ran = []
    for target in chosen:
        ran.append(run(target, seconds=seconds, seed=wanted.seed))
        click.echo(str(ran[-1]))
    for each in ran:
        if each.failure:
            click.echo(f"\n{each.target} (inputs in {CORPUS / each.target / 'found'}):\n{each.failure}")
    total = sum(each.executions for each in ran)
    click.echo(f"{total} executions in {sum(each.seconds for each in ran) / 60:.0f} minutes")
    return 1 if any(each.failure for each in ran) else 0


if __name__ == "__main__":
    sys.exit(main())
