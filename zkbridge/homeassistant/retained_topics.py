"""The topics on which messages of the bridge may be retained, noted on disk until the broker has cleared them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from zkbridge.homeassistant.ports import HomeAssistantPorts

log = logging.getLogger(__name__)

#: How long after topics were cleared, and how often, the broker is asked whether it has confirmed that (seconds).
TAKEN_S = 5.0
_SUBJECT, _TOPICS = "homeassistant", "topics"


class RetainedTopics:
    """Knows every topic that was ever used, and which of them are to be cleared. For any thread.

    A topic is noted on disk before anything is published on it: otherwise nothing would ever clear it.
    """

    def __init__(self, ports: HomeAssistantPorts, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ports = ports
        self._clock = clock
        self._lock = threading.Lock()
        self._known = frozenset((ports.recall(_SUBJECT, _TOPICS) or "").split())
        self._gone: frozenset[str] = frozenset()
        self._cleared_at = clock()

    def use(self, wanted: frozenset[str]) -> None:
        """Note that messages will be retained on these topics, and that all others are to be cleared."""
        with self._lock:
            self._gone = self._known - wanted
            self._keep(self._known | wanted)

    def clear(self) -> list[str]:
        """The topics to clear now; they are forgotten once the broker has confirmed that."""
        with self._lock:
            gone = self._gone
            self._cleared_at = self._clock()
        if gone:
            self._ports.later((_SUBJECT, "gone"), TAKEN_S, self._forget_gone)
        return sorted(gone)

    def _forget_gone(self) -> float | None:
        """What the broker has cleared need not be cleared again on every later connection."""
        with self._lock:
            gone, wait_s = self._gone, self._cleared_at + TAKEN_S - self._clock()
        if not gone:
            return None
        if wait_s > 0:
            return wait_s
        if not self._ports.has_taken_all():
            return TAKEN_S
        with self._lock:
            taken = gone & self._gone  # a device may have come back meanwhile
            self._gone -= taken
            self._keep(self._known - taken)
        log.info("Home Assistant's messages for removed devices have been cleared")
        return None

    def _keep(self, topics: frozenset[str]) -> None:
        if topics != self._known:
            self._known = topics
            self._ports.keep(_SUBJECT, _TOPICS, " ".join(sorted(topics)))
