"""Measures how old a message may be that has just arrived: a connection can stall for long without breaking.

While the broker, the network or this process stalls, messages wait unnoticed, and all arrive afterwards. So the bridge
publishes a probe to itself every few seconds: a message that arrives after the probe's echo has not waited longer than
that probe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

#: An echo that takes longer shows that something stalled, and not that this is over (seconds).
PROMPT_S = 1.0
#: Pause between an echo and the next probe: a part of the age limit, between these two (seconds).
PART, LEAST_S, MOST_S = 4, 0.5, 2.0


class AgeLimit(Protocol):
    """How old a message may be: it changes with the configuration."""

    @property
    def delay_limit_s(self) -> float | None:
        """The seconds, or None where any age will do."""


class FixedLimit(NamedTuple):
    """An age limit that does not change; without a value any age will do."""

    delay_limit_s: float | None = None


class DeliveryDelay:
    """The probes and echoes on this connection. For one thread.

    `topic` is where the probe is published and comes back.
    Where the age limit is None no probe is sent.
    """

    def __init__(self, topic: str, age_limit: AgeLimit, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._age_limit = age_limit
        self._clock = clock
        self._connected = False
        self._said_at: float | None = None
        self._next = 0.0
        self._proven_at: float | None = None

    def begin(self) -> None:
        """A connection has begun."""
        self._connected, self._said_at, self._proven_at = True, None, None
        self._next = self._clock()

    def end(self) -> None:
        """The connection has ended."""
        self._connected = False

    def look(self) -> list[str]:
        """The topic, if a probe is to be published now; the one before must have come back."""
        if self.wait_s() > 0:
            return []
        self._said_at = self._clock()
        return [self._topic]

    def wait_s(self) -> float:
        """Seconds until the next probe; may be infinite."""
        if not self._connected or self._said_at is not None or self._age_limit.delay_limit_s is None:
            return float("inf")
        return max(0.0, self._next - self._clock())

    def take(self, topic: str) -> None:
        """A message of the bridge itself came back on a topic."""
        if topic != self._topic or self._said_at is None:
            return
        now, said_at = self._clock(), self._said_at
        self._said_at = None
        late = now - said_at > PROMPT_S
        if not late or self._proven_at is None:
            self._proven_at = said_at
        self._next = now if late else now + self._pause_s()

    def waited_s(self) -> float:
        """The longest that a message arriving now may have waited, in seconds; 0 where no echo has come back yet."""
        if not self._connected or self._proven_at is None or self._age_limit.delay_limit_s is None:
            return 0.0
        return self._clock() - self._proven_at

    def _pause_s(self) -> float:
        return min(MOST_S, max(LEAST_S, (self._age_limit.delay_limit_s or 0.0) / PART))
