"""Break everything, from a seed: `python -m torture` requests, punches, doors, people, cuts, world or soak.

Each has `--help`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torture import cuts, doors, people, punches, requests, soak


def world(arguments: Sequence[str]) -> int:
    """Run the bridge in a simulated world."""
    from torture.simulated import command  # noqa: PLC0415 - the others need no fibers, and no half second for this

    return command.main(arguments)


PROGRAMS = {
    "requests": requests.main,
    "punches": punches.main,
    "doors": doors.main,
    "people": people.main,
    "cuts": cuts.main,
    "world": world,
    "soak": soak.main,
}


def main() -> int:
    """Run the program that the first word names."""
    name, arguments = "".join(sys.argv[1:2]), sys.argv[2:]
    if name not in PROGRAMS:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    return PROGRAMS[name](arguments)


if __name__ == "__main__":
    sys.exit(main())
