"""Answers that must wait before they are sent again: refused ones, and ones under way when connections broke."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

#: After this many broken connections an answer is sent alone, last: it may be what breaks them.
SUSPECT_AFTER = 2
#: After this many it waits: this long at first (seconds), doubling with each break up to the most.
WAIT_AFTER = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 3600.0


class Postponed:
    """When each answer may be sent again, by its number in the ledger; not safe for several threads."""

    def __init__(self) -> None:
        self._not_before: dict[int, float] = {}
        self._breaks: dict[int, int] = {}

    def __contains__(self, answer: int) -> bool:
        return answer in self._not_before

    def __len__(self) -> int:
        return len(self._not_before)

    def postpone(self, answer: int, seconds: float) -> None:
        """Let an answer wait."""
        self._not_before[answer] = time.monotonic() + seconds

    def count_break(self, answer: int) -> int:
        """Note that the connection broke while an answer was under way; how often that was so."""
        breaks = self._breaks[answer] = self._breaks.get(answer, 0) + 1
        return breaks

    def postpone_breaking(self, answer: int) -> None:
        """Let an answer wait that was under way too often when a connection broke; any other may go at once."""
        breaks = self._breaks.get(answer, 0)
        if breaks < WAIT_AFTER:
            return
        pause = min(FIRST_WAIT_S * 2 ** min(breaks - WAIT_AFTER, 10), LONGEST_WAIT_S)
        self.postpone(answer, pause)
        log.error("answer=%d was under way %d times when the connection broke; it waits %.0f s", answer, breaks, pause)

    def is_suspect(self, answer: int) -> bool:
        """Whether an answer may be what breaks connections."""
        return self._breaks.get(answer, 0) >= SUSPECT_AFTER

    def forget(self, answer: int) -> None:
        """Note that an answer was confirmed or refused: it does not break connections."""
        self._breaks.pop(answer, None)

    def new_connection(self) -> None:
        """Let all be sent at once except those that may break this connection, too."""
        for answer in [number for number in self._not_before if self._breaks.get(number, 0) < WAIT_AFTER]:
            del self._not_before[answer]

    def release_due(self) -> None:
        """Let those be sent whose pause is over."""
        now = time.monotonic()
        for answer in [number for number, due in self._not_before.items() if due <= now]:
            del self._not_before[answer]

    def next_s(self) -> float:
        """Seconds until the next one may go; infinite where none waits."""
        return max(0.0, min(self._not_before.values(), default=float("inf")) - time.monotonic())
