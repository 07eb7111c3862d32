"""The time of a simulated week, shared with the daemon through a file that both map into memory."""

from __future__ import annotations

import mmap
import struct
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from zkbridge.machine import clock

#: Where the school is, and when its week begins: on the Saturday before the clocks change. So school days follow the
#: change, and the second half of a week, by which growth is judged, has school days alone.
ZONE = ZoneInfo("Europe/Madrid")
BEGIN = datetime(2026, 3, 28, tzinfo=ZONE)
WEEK_S = 7 * 86_400.0
#: Seconds that the clock was set ahead, seconds that have passed beside the real ones, and whether it is synchronised.
_FIELDS = struct.Struct("<ddd")

_real_time = time.time


class SharedClock:
    """The real time, with what was added: `jump` to the clock alone, `passed` also to the time since the start."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_FIELDS.pack(0.0, 0.0, 1.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _FIELDS.size)

    @property
    def fields(self) -> tuple[float, float, bool]:
        """`jump`, `passed`, and whether the clock is synchronised."""
        jump, passed, synchronised = _FIELDS.unpack_from(self._shared)
        return jump, passed, synchronised > 0

    def set(self, *, jump: float | None = None, passed: float | None = None, synchronised: bool | None = None) -> None:
        """Change one of them."""
        old = self.fields
        new = (
            old[0] if jump is None else jump,
            old[1] if passed is None else passed,
            float(old[2] if synchronised is None else synchronised),
        )
        _FIELDS.pack_into(self._shared, 0, *new)

    def wall(self) -> float:
        """What the machine's clock shows, in seconds since 1970."""
        jump, passed, _ = self.fields
        return _real_time() + jump + passed

    def true(self) -> float:
        """The time in seconds since 1970, whatever the clock was set to."""
        return _real_time() + self.fields[1]

    def local(self) -> datetime:
        """The true time on the school's walls, without its zone."""
        return datetime.fromtimestamp(self.true(), ZONE).replace(tzinfo=None, microsecond=0)

    def take_over(self) -> None:
        """Have this process, in which nothing of the bridge runs yet, live by this clock."""
        time.time = self.wall
        made = clock.Clock(
            wall=self.wall,
            since_start=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + self.fields[1],
            synchronised=lambda: self.fields[2],
        )
        vars(clock.SYSTEM).update(vars(made))
