"""One target in a process of its own, guided by coverage: `python -m tests.fuzz.parsers.guided TARGET …`.

What follows the target's name are options and folders of libFuzzer, which never returns: it ends the process.
"""

from __future__ import annotations

import sys

import atheris

#: What is watched while it runs. The C parts of json and pydantic cannot be; ruamel takes ten times as long if it is.
WATCHED = ["zkbridge", "json", "csv", "zk", "paho"]


def main() -> None:
    """Watch what the targets import, and begin."""
    with atheris.instrument_imports(include=WATCHED, enable_loader_override=False):
        from tests.fuzz.parsers.targets import TARGETS  # noqa: PLC0415 - it is watched from here on

        target = TARGETS[sys.argv[1]]
        for seed in target.seeds():
            target.run(seed)  # what is loaded at the first use is watched too
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
