"""Measures how long a terminal was disabled in a conversation, and until when it still is."""

from __future__ import annotations

import time

#: This clock must go on while the machine sleeps, as the terminal's does; only Linux has it.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """The seconds on a clock that goes on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class DisabledTime:
    """The time for which people are kept off a terminal. `total` is in seconds, of what has ended.

    `since` is when it was disabled, None while it is not; `until` when it enables itself, None where it does not.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self.until: float | None = None
        self.total = 0.0

    def begin(self, since: float, seconds: int | None) -> None:
        """It was disabled, for so many seconds or until it is enabled."""
        self.since = since
        self.until = None if seconds is None else since + seconds

    def end(self) -> None:
        """It has confirmed that it is enabled."""
        self.total += self.so_far()
        self.since = self.until = None

    def so_far(self) -> float:
        """The seconds since it was disabled; 0 while it is not."""
        return 0.0 if self.since is None else now() - self.since

    def give_up(self) -> None:
        """Count all the time after which the terminal enables itself, for nothing confirms that it was enabled."""
        self.total += self._at_most()

    def lasts(self, seconds: float) -> bool:
        """Whether it stays disabled for so many seconds, or has no end of its own."""
        return self.until is None or now() + seconds < self.until

    def renewed(self, since: float | None, until: float) -> bool:
        """Whether it was disabled again before its time, begun at `since`, was over at `until`; if not, two count."""
        unbroken = now() < until
        if unbroken:
            self.since = since
        elif since is not None:
            self.total += until - since
        return unbroken

    def _at_most(self) -> float:
        if self.since is None or self.until is None:
            return self.so_far()
        return max(self.so_far(), self.until - self.since)
