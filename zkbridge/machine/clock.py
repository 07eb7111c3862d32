"""The time, and whether this machine can know it: a Raspberry Pi has no clock that runs while it is off."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from zkbridge.contract.errors import ClockUntrusted

log = logging.getLogger(__name__)

#: The year in which this version was made: a clock that shows less is wrong. In seconds since 1970.
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
#: systemd-timesyncd puts this file there when it has set the clock (systemd-timesyncd.service(8)).
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
#: What adjtimex(2) returns while no server has set the clock, or not for long.
_TIME_ERROR = 5
#: Bytes for `struct timex` (adjtimex(2)), which has 208 at most; with all zero the call only reads.
_TIMEX = 512
#: The number of adjtimex among the system calls, by machine and size of a pointer. A sandbox may forbid clock_adjtime,
#: which is what the C library's adjtimex calls, and allow this one.
_ADJTIMEX = {("x86_64", 8): 159, ("aarch64", 8): 171, ("armv7l", 4): 124, ("i686", 4): 124}
#: Seconds by which the clock may differ from the time that has passed before that is a jump.
JUMP_S = 2.0
#: After a jump: seconds until the machine is asked again whether its clock is synchronised.
_ASKED_FOR_S = 1.0


class _Anchor(NamedTuple):
    """One moment on two clocks: the wall clock, and the monotonic clock, which cannot be set."""

    wall: float
    since_start: float


class Clock:
    """The time in seconds since 1970, through jumps of the machine's clock where it can be known which time is right.

    The wall clock counts while it advances as the monotonic one does. After a jump it counts if it is synchronised; if
    not, the time before the jump plus the time that has passed counts. May be called from any thread.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        since_start: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        synchronised: Callable[[], bool] | None = None,
    ) -> None:
        self._wall = wall
        self._since_start = since_start
        self._ask = synchronised or is_synchronised
        self._anchor = _Anchor(wall(), since_start())
        #: After a jump: whether the clock is synchronised, and when the machine was asked.
        self._verdict: tuple[bool, float] | None = None

    def now(self) -> float:
        """The time in seconds since 1970."""
        anchor, wall, since_start = self._anchor, self._wall(), self._since_start()
        steady = anchor.wall + since_start - anchor.since_start
        if abs(wall - steady) > JUMP_S and not self._is_believed(wall - steady, since_start):
            return steady
        self._anchor, self._verdict = _Anchor(wall, since_start), None
        return wall

    def _is_believed(self, jump: float, since_start: float) -> bool:
        """Whether the clock is synchronised after a jump; the machine is asked again from time to time."""
        verdict = self._verdict
        if verdict is not None and since_start - verdict[1] < _ASKED_FOR_S:
            return verdict[0]
        believed = self._ask()
        if believed:
            log.info("the clock was set by %+.0f s and is synchronised", jump)
        elif verdict is None:
            log.warning("the clock jumped by %+.0f s and is not synchronised: the time that has passed counts", jump)
        self._verdict = believed, since_start
        return believed

    def is_synchronised(self) -> bool:
        """Whether the clock is synchronised, as far as this machine says."""
        return self._ask()

    def require_synchronised(self, needed_for: str = "door") -> None:
        """Raise ClockUntrusted with this reason where the clock is not synchronised."""
        if not self._ask():
            raise ClockUntrusted(needed_for)

    def require_plausible(self) -> None:
        """Raise ClockUntrusted where the clock shows a time before this version was made."""
        if (shown := self._wall()) < MADE_AT:
            raise ClockUntrusted("in_the_past", shown=datetime.fromtimestamp(shown, UTC).date().isoformat())


def is_synchronised() -> bool:
    """Whether the kernel or systemd says that a time server has set the clock."""
    if SYNCHRONISED.exists():
        return True
    try:
        state = _adjtimex()
    except (ImportError, AttributeError, OSError, MemoryError):  # a sandbox may forbid what ctypes needs
        return False
    return 0 <= state != _TIME_ERROR


def _adjtimex() -> int:
    """The state of the clock as adjtimex(2) returns it; -1 where it may not be asked."""
    import ctypes  # noqa: PLC0415 - only doors and jumps ask
    import os  # noqa: PLC0415 - as above

    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_TIMEX)
    state = int(library.adjtimex(buffer))
    number = _ADJTIMEX.get((os.uname().machine, struct.calcsize("P")))
    return state if state >= 0 or number is None else int(library.syscall(number, buffer))


#: This machine's.
SYSTEM = Clock()
