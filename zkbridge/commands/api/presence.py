"""The interaction of an attended command with the person at the terminal: progress, and an end asked for by others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from zkbridge.contract.errors import BridgeError
from zkbridge.port.waker import Waker


class ProgressSink(Protocol):
    """Publishes one step of a request's progress with what there is to know about it."""

    def __call__(self, step: str, /, **facts: Any) -> None:
        """`step` is one that the command has a sentence for, filled with the facts."""


def _ignore(_step: str, /, **_facts: Any) -> None:
    """For commands without progress."""


class AttendedInteraction:
    """The interaction of one attended request, from the moment it is in hand until its answer.

    `tell` publishes progress. `memory` outlasts a lost connection but not the daemon, and is never written anywhere.
    `end` is for other threads; `reason` is then the error that they give, or None where the bridge itself stops.
    """

    def __init__(self, tell: ProgressSink = _ignore) -> None:
        self.tell = tell
        self.memory: dict[str, Any] = {}
        self.ended = False
        self.reason: type[BridgeError] | None = None
        self._waker: Waker | None = None
        self._lock = threading.Lock()

    def end(self, reason: type[BridgeError] | None) -> None:
        """Have the request end now; the first reason counts."""
        with self._lock:
            if self.ended:
                return
            self.ended, self.reason = True, reason
            if self._waker is not None:
                self._waker.wake()

    @contextmanager
    def waker(self) -> Iterator[Waker]:
        """What ends a wait for the terminal as soon as `end` is called, or at once if it was."""
        with Waker() as made:
            with self._lock:
                self._waker = made
                if self.ended:
                    made.wake()
            try:
                yield made
            finally:
                with self._lock:
                    self._waker = None
