"""Whether a terminal is disabled: until it is enabled, or for a time."""

from __future__ import annotations

import threading
import time


class DisabledTime:
    """Begun by DISABLE, ended by ENABLE or after its seconds; remembers how long each time was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._until: float | None = None
        self._spans: list[float] = []

    @property
    def active(self) -> bool:
        """Whether the terminal is disabled now."""
        with self._lock:
            self._expire()
            return self._since is not None

    @property
    def timed(self) -> bool:
        """Whether it will end by itself."""
        with self._lock:
            return self._until is not None

    def begin(self, seconds: int = 0) -> None:
        """Disable; a new time replaces the old one, 0 is without end."""
        now = time.monotonic()
        with self._lock:
            self._expire()
            if self._since is None:
                self._since = now
            self._until = now + seconds if seconds else None

    def end(self) -> bool:
        """Enable; false when the terminal was not disabled."""
        with self._lock:
            self._expire()
            return self._finish(time.monotonic())

    def spans(self) -> list[float]:
        """The seconds of every time; one that lasts counts until now."""
        with self._lock:
            self._expire()
            lasting = [] if self._since is None else [time.monotonic() - self._since]
            return self._spans + lasting

    def _expire(self) -> None:
        if self._until is not None and time.monotonic() >= self._until:
            self._finish(self._until)

    def _finish(self, when: float) -> bool:
        if self._since is None:
            return False
        self._spans.append(when - self._since)
        self._since = self._until = None
        return True
