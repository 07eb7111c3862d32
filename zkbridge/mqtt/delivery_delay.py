"""How old a message may be that has just arrived: a connection can stand still for long without breaking.

While the broker hangs, or the network, or this process, messages wait without a trace, and come all at once
afterwards. So the bridge says a word to itself every few moments: what comes after its echo has not waited for longer
than since that word was on its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: An echo that takes longer proves that something stood still, and not that it is over (seconds).
PROMPT_S = 1.0
#: Pause between an echo and the next word: a part of the age that matters, within these (seconds).
PART, LEAST_S, MOST_S = 4, 0.5, 2.0


class DeliveryDelay:
    """The echoes on this connection. For one thread.

    `topic` is where the word is said and heard. `age_s` tells how old a message may be, in seconds; None where that
    does not matter, and then nothing is said.
    """

    def __init__(
        self, topic: str, age_s: Callable[[], float | None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._topic = topic
        self._age_s = age_s
        self._clock = clock
        self._connected = False
        self._said_at: float | None = None
        self._next = 0.0
        self._proven_at: float | None = None

    def begin(self) -> None:
        """A connection stands."""
        self._connected, self._said_at, self._proven_at = True, None, None
        self._next = self._clock()

    def end(self) -> None:
        """It is over."""
        self._connected = False

    def look(self) -> list[str]:
        """The topic, if the word is to be said now; an earlier one must have come back before."""
        if self.wait_s() > 0:
            return []
        self._said_at = self._clock()
        return [self._topic]

    def wait_s(self) -> float:
        """Seconds until the word is to be said; may be infinite."""
        if not self._connected or self._said_at is not None or self._age_s() is None:
            return float("inf")
        return max(0.0, self._next - self._clock())

    def take(self, topic: str) -> None:
        """The bridge's own word was heard on a topic."""
        if topic != self._topic or self._said_at is None:
            return
        now, said_at = self._clock(), self._said_at
        self._said_at = None
        late = now - said_at > PROMPT_S
        if not late or self._proven_at is None:
            self._proven_at = said_at
        self._next = now if late else now + self._pause_s()

    def waited_s(self) -> float:
        """For how long at most what arrives now may have waited; 0 where no echo has ever told."""
        if not self._connected or self._proven_at is None or self._age_s() is None:
            return 0.0
        return self._clock() - self._proven_at

    def _pause_s(self) -> float:
        return min(MOST_S, max(LEAST_S, (self._age_s() or 0.0) / PART))
