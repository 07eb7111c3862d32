"""The daemon of the soak: zkbridge as it is, by the clock of the simulated week.

What it does every hour or minute comes as much more often as the week is shorter.

What would take months of punches to fill has a lower limit, so that it is full on the first day: growth is judged in
the second half of a run, and filling up to a limit must not count as growth.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from torture.soak_clock import SharedClock
from torture.soak_heap import HeapGauge

#: Seconds between looks at what time brings; none is made shorter than LEAST_S.
INTERVALS = {
    "bridge.dates": ("LOOK_S",),
    "bridge.expiry": ("LOOK_S",),
    "bridge.nightly": ("LOOK_S", "AGAIN_S"),
    "bridge.desired": ("LOOK_S",),
    "bridge.ledger_care": ("FORGET_FIRST_S", "FORGET_S"),
}
LEAST_S = 0.5
#: Punches that are remembered of a terminal, in place of 1,000: more than the 64 by which a place in its log is found
#: again, and as many as each has had after two bells.
REMEMBERED = 100
REMEMBERING = ("attendance.bookmark", "attendance.recorder")


_CLOCK, _HEAP, _FASTER = "SOAK_CLOCK", "SOAK_HEAP", "SOAK_FASTER"


def environment(folder: Path, faster: float) -> dict[str, str]:
    """What the daemon is told: the files of its clock and of its memory, and how many seconds pass in one."""
    return {_CLOCK: str(folder / "clock"), _HEAP: str(folder / "heap"), _FASTER: str(faster)}


def main() -> None:
    """Set the clock and the intervals, then run zkbridge with the arguments of this program."""
    SharedClock(Path(os.environ[_CLOCK])).take_over()
    HeapGauge(Path(os.environ[_HEAP])).keep_writing()
    faster = float(os.environ[_FASTER])
    for name, intervals in INTERVALS.items():
        module = import_module(f"zkbridge.{name}")
        for interval in intervals:
            whole = getattr(module, interval)
            setattr(module, interval, min(whole, max(LEAST_S, whole / faster)))
    for name in REMEMBERING:
        vars(import_module(f"zkbridge.{name}"))["REMEMBERED"] = REMEMBERED
    from zkbridge.cli.main import main as zkbridge  # noqa: PLC0415 - the clock is set before it is loaded

    zkbridge()


if __name__ == "__main__":
    main()
