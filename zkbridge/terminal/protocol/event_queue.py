"""Events that a terminal sent unasked, until they are taken; bounded in number and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from zkbridge.terminal.protocol.wire import Frame

#: The oldest are dropped beyond either; a punch is in the attendance log as well.
MAX_EVENTS = 10_000
MAX_BYTES = 1024 * 1024


class EventQueue:
    """The events of one connection, oldest first."""

    def __init__(self) -> None:
        self._events: deque[Frame] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._events)

    def append(self, event: Frame) -> None:
        """Put one at the end."""
        self._events.append(event)
        self._bytes += len(event.data)
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self.popleft()

    def extend(self, events: Iterable[Frame]) -> None:
        """Put several at the end, in their order."""
        for event in events:
            self.append(event)

    def popleft(self) -> Frame:
        """Take the oldest. Raises IndexError where there is none."""
        event = self._events.popleft()
        self._bytes -= len(event.data)
        return event

    def clear(self) -> None:
        """Drop all."""
        self._events.clear()
        self._bytes = 0
