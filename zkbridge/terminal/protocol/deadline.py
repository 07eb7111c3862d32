"""A deadline on the monotonic clock, and waiting until then."""

from __future__ import annotations

import select
import time
from typing import NamedTuple

from zkbridge.port.waker import Waker


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


def wait_readable(descriptor: int, until: Deadline, waker: Waker | None = None) -> bool:
    """Wait until there is something to read; False when the time is over, or the waker was used."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if waker is not None:
        poll.register(waker.fileno(), select.POLLIN)
    ready = poll.poll(until.remaining() * 1000)
    return any(ready_descriptor == descriptor for ready_descriptor, _ in ready)
