"""The state of one door's lock, from the bridge's own requests: no terminal reports when it has locked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

LockState = Literal["unlocking", "unlocked", "locked"]


class DoorLock:
    """One door's lock. `state` is None while it is not known.

    `locked` means: the terminal has confirmed that it opens the door for some seconds, and these have passed. Who
    opens the door otherwise, by a finger or a button at the door, is not seen here.
    """

    def __init__(self, state: LockState | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        # One that an earlier run left open may or may not have been locked since.
        self.state: LockState | None = state if state == "locked" else None
        self._clock = clock
        self._before: LockState | None = self.state
        self._until = 0.0

    def ask(self) -> None:
        """The terminal is about to be asked."""
        if self.state != "unlocking":
            self._before, self.state = self.state, "unlocking"

    def answer(self, seconds: int, opened: bool | None) -> None:
        """The terminal opens the door for so many seconds, or does not, or perhaps does (None)."""
        if opened is not False:
            self._until = max(self._until, self._clock() + seconds)
            self.state = "unlocked" if opened else None
        elif self.state == "unlocking":
            self.state = self._before

    def left_s(self) -> float | None:
        """The seconds until it is locked again; None where it is not open. One whose time has passed is locked."""
        if self.state != "unlocked":
            return None
        left_s = self._until - self._clock()
        if left_s > 0:
            return left_s
        self.state = "locked"
        return None
