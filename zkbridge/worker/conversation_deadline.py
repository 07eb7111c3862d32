"""The deadline of a worker's present conversation; time that a person needs is added to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from zkbridge.terminal.protocol.deadline import Deadline

#: Seconds past the deadline before the watchdog is informed: closing the session takes so long at most.
GRACE_S = 30.0


class ConversationDeadline:
    """The deadline. `conversation_s` is what a conversation may take, `answer_s` what one answer may, in seconds.

    The worker's thread changes it; `is_overdue` may be called from any thread.
    """

    def __init__(self, *, conversation_s: float, answer_s: float) -> None:
        self._conversation_s = conversation_s
        self._answer_s = answer_s
        self._due: Deadline | None = None

    @property
    def current(self) -> Deadline:
        """The deadline as it is now; outside a conversation, that of one that begins now."""
        return self._due or Deadline.after(self._conversation_s)

    @property
    def is_overdue(self) -> bool:
        """Whether a conversation takes longer than its deadline and its closing allow."""
        due = self._due
        return due is not None and time.monotonic() > due.at + GRACE_S

    @contextmanager
    def running(self) -> Iterator[None]:
        """A conversation, from its beginning to its end."""
        self._due = Deadline.after(self._conversation_s)
        try:
            yield
        finally:
            self._due = None

    @contextmanager
    def extended(self, seconds: float) -> Iterator[None]:
        """A wait for a person, for at most this many seconds (0: there is none); no deadline counts its time."""
        began, deadline = time.monotonic(), self.current
        if seconds:
            self._due = deadline.later(seconds + self._answer_s)
        try:
            yield
        finally:
            if seconds:
                self._due = deadline.later(time.monotonic() - began)
