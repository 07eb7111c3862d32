"""The daemon of the soak: zkbridge as it is, by the clock of the simulated week.

What it does every hour or minute comes as much more often as the week is shorter: `SOAK_CLOCK` is the clock's file,
`SOAK_FASTER` how many seconds pass in one.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from torture.soak_clock import SharedClock

#: Seconds between looks at what time brings; none is made shorter than LEAST_S.
INTERVALS = {
    "bridge.dates": ("LOOK_S",),
    "bridge.expiry": ("LOOK_S",),
    "bridge.nightly": ("LOOK_S", "AGAIN_S"),
    "bridge.desired": ("LOOK_S",),
    "bridge.ledger_care": ("FORGET_FIRST_S", "FORGET_S"),
}
LEAST_S = 0.5


def main() -> None:
    """Set the clock and the intervals, then run zkbridge with the arguments of this program."""
    SharedClock(Path(os.environ["SOAK_CLOCK"])).take_over()
    faster = float(os.environ["SOAK_FASTER"])
    for name, intervals in INTERVALS.items():
        module = import_module(f"zkbridge.{name}")
        for interval in intervals:
            whole = getattr(module, interval)
            setattr(module, interval, min(whole, max(LEAST_S, whole / faster)))
    from zkbridge.cli.main import main as zkbridge  # noqa: PLC0415 - the clock is set before it is loaded

    zkbridge()


if __name__ == "__main__":
    main()
