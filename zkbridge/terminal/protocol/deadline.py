"""A point on the monotonic clock that nothing outlasts."""

from __future__ import annotations

import time
from typing import NamedTuple


class Deadline(NamedTuple):
    """When something must have ended, in seconds of `time.monotonic`."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    def within(self, seconds: float) -> Deadline:
        """This deadline, or so many seconds from now, whichever comes first."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def later(self, seconds: float) -> Deadline:
        """So many seconds after this one."""
        return Deadline(self.at + seconds)

    def remaining(self) -> float:
        """The seconds that are left; never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self.at
