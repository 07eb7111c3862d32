"""Break everything, from a seed: `python -m torture` requests, punches, doors, people, cuts or world.

Each has `--help`.
"""

from __future__ import annotations

import sys

from torture import cuts, doors, people, punches, requests
from torture.simulated import command

PROGRAMS = {
    "requests": requests.main,
    "punches": punches.main,
    "doors": doors.main,
    "people": people.main,
    "cuts": cuts.main,
    "world": command.main,
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
