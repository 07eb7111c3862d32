"""The pause after failures: it doubles with each one in a row."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

#: Seconds until the next try after one failure, and at most after any.
FIRST_S, LONGEST_S = 5.0, 300.0
_MOST_DOUBLINGS = 10


class Pause:
    """Whether something may be tried again. One thread notes how tries ended; any thread may ask.

    `first_s` and `longest_s` are in seconds. Of each pause up to the share `spread` is left off at random, so that many
    tries do not come at the same moment. `now` is a clock in seconds, time.monotonic if not given.
    """

    def __init__(
        self,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
        *,
        spread: float = 0.0,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._spread = spread
        self._now = now or time.monotonic
        self._failures = 0
        self._ends_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it may be tried now."""
        return self._now() >= self._ends_at

    @property
    def left_s(self) -> float:
        """Seconds until it may be tried; 0: now."""
        return max(0.0, self._ends_at - self._now())

    def note_success(self) -> None:
        """A try went well: the next one may follow at once."""
        self._failures, self._ends_at = 0, 0.0

    def note_failure(self) -> float:
        """A try failed: the seconds until the next one."""
        pause = self._spread_out(min(self._first_s * 2 ** min(self._failures, _MOST_DOUBLINGS), self._longest_s))
        self._failures += 1
        self._ends_at = self._now() + pause
        return pause

    def extend(self, seconds: float) -> None:
        """Let it last so long from now, at least; this counts as no failure."""
        self._ends_at = max(self._ends_at, self._now() + self._spread_out(seconds))

    def _spread_out(self, seconds: float) -> float:
        return seconds * random.uniform(1 - self._spread, 1)  # noqa: S311 - only spreads the load
