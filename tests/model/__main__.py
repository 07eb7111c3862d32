"""Explore every life whole and print what was found: `python -m tests.model [WORD ...]`; words choose settings.

Exit code 0: no state breaks a rule, from each of them the life can be completed, and every breakage is found.
"""

from __future__ import annotations

import sys
import time

from tests.model.explorer import Exploration
from tests.model.life import Life, Setting, State
from tests.model.settings import BREAKAGES, SETTINGS, broken


def main(words: list[str]) -> int:
    """Explore, print a line for each setting and breakage; with the shortest way to a fault that nobody put in."""
    failed = False
    for name in _chosen(SETTINGS, words):
        found = _explored(name, SETTINGS[name])
        failed |= found.fault is not None
        for line in found.way:
            sys.stdout.write(f"    {line}\n")
    for name in _chosen(BREAKAGES, words):
        with broken(name) as setting:
            failed |= _explored(f"broken: {name}", setting).fault is None
    return 1 if failed else 0


def _chosen(table: dict[str, Setting], words: list[str]) -> list[str]:
    return [name for name in table if not words or any(word in name for word in words)]


def _explored(name: str, setting: Setting) -> Exploration[State]:
    began = time.monotonic()
    found = Life(setting).explore()
    sys.stdout.write(
        f"{name}: {found.states} states, {found.transitions} transitions, {len(found.way)} steps to a fault,"
        f" {time.monotonic() - began:.1f} s: {found.fault or 'every rule holds'}\n"
    )
    sys.stdout.flush()
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
