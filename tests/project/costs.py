"""What the tests cost by folder, and the files that cost most: `make costs` measures and prints it.

`python -m tests.project.costs FILE` prints it of what `pytest --costs FILE` has written.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from tests.support.costs import Cost, read

#: Folders below this many CPU seconds share a row.
SMALL_S = 3
FILES = 30


def folder(test: str) -> str:
    """The folder of a test, below tests/."""
    return PurePosixPath(test.partition("::")[0]).parts[1] + "/"


def file(test: str) -> str:
    """The file of a test."""
    return test.partition("::")[0]


def summed(costs: Mapping[str, Cost], key: Callable[[str], str]) -> list[tuple[str, int, float, int]]:
    """Name, tests, CPU seconds and daemons for each key, the most expensive first."""
    tests: Counter[str] = Counter()
    cpu_s: Counter[str] = Counter()
    daemons: Counter[str] = Counter()
    for test, cost in costs.items():
        name = key(test)
        tests[name] += 1
        cpu_s[name] += cost.cpu_s  # type: ignore[assignment]  # typeshed has Counter count in whole numbers
        daemons[name] += cost.daemons
    return [(name, tests[name], cpu_s[name], daemons[name]) for name, _ in cpu_s.most_common()]


def table(costs: Mapping[str, Cost]) -> str:
    """The table of folders."""
    rows = summed(costs, folder)
    large = [row for row in rows if row[2] >= SMALL_S]
    small = [row for row in rows if row[2] < SMALL_S]
    lines = ["| folder of tests/ | tests | CPU s | daemons |", "|---|---|---|---|", *map(_line, large)]
    if small:
        lines.append(_line(_total(f"{len(small)} others", small)))
    return "\n".join([*lines, _line(_total("all", rows))]) + "\n"


def main(arguments: list[str]) -> None:
    """Print the table, and the most expensive files."""
    costs = read(Path(arguments[0]))
    sys.stdout.write(table(costs) + "\n")
    for row in summed(costs, file)[:FILES]:
        sys.stdout.write(_line(row) + "\n")


def _total(name: str, rows: Iterable[tuple[str, int, float, int]]) -> tuple[str, int, float, int]:
    _, tests, cpu_s, daemons = zip(*rows, strict=True)
    return name, sum(tests), sum(cpu_s), sum(daemons)


def _line(row: tuple[str, int, float, int]) -> str:
    name, tests, cpu_s, daemons = row
    return f"| {name} | {tests} | {cpu_s:.0f} | {daemons} |"


if __name__ == "__main__":
    main(sys.argv[1:])
