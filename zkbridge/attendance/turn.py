"""One period of listening to a terminal, and what ends it."""

from __future__ import annotations

import threading
from typing import NamedTuple

from zkbridge.port.waker import Waker
from zkbridge.terminal.line import PersistentConnection


class Turn(NamedTuple):
    """The period between two requests.

    `briefly`: a request waits, so only events that have already arrived are taken.
    """

    waker: Waker
    line: PersistentConnection
    closing: threading.Event
    briefly: bool

    def is_wanted(self) -> bool:
        """Whether a request, or another process, waits for the terminal."""
        return self.briefly or self.waker.woken or self.line.wanted()
