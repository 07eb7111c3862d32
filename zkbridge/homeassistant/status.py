"""What is known of each terminal beyond whether it answers: how full it is, the last error, the last new user."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from zkbridge.contract.messages import encode
from zkbridge.telemetry.events import Counted, Created, Event, Trouble


class Error(NamedTuple):
    """What went wrong: its code and its sentence in the bridge's language, and when (ISO 8601, UTC)."""

    code: str
    error: str
    at: str


class Added(NamedTuple):
    """Who was added, by user_id alone, and when (ISO 8601, UTC)."""

    user_id: str
    at: str


class Status(NamedTuple):
    """One terminal; None is what is not known yet."""

    users: int | None = None
    users_capacity: int | None = None
    users_free: int | None = None
    last_error: Error | None = None
    last_user: Added | None = None

    @property
    def body(self) -> bytes:
        """As it stands on its topic, and on disk."""
        return encode(self._asdict() | {"last_error": _facts(self.last_error), "last_user": _facts(self.last_user)})

    @classmethod
    def read(cls, text: str) -> Status:
        """What `body` has written; nothing known, where another version has written it."""
        try:
            values = json.loads(text)
            error, added = values.pop("last_error"), values.pop("last_user")
            return cls(
                **values, last_error=Error(**error) if error else None, last_user=Added(**added) if added else None
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()


class Statuses:
    """Every terminal's status. For any thread; `recall` gives what an earlier run wrote of a device, if anything."""

    def __init__(self, recall: Callable[[str], str | None], *, clock: Callable[[], float] = time.time) -> None:
        self._recall = recall
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Status] = {}
        self._answering: set[str] = set()

    def of(self, device: str) -> Status:
        """What is known of a device."""
        with self._lock:
            return self._of(device)

    def hear(self, event: Event) -> bool:
        """Learn from what happened; whether that was news.

        A terminal that is away is visited again and again: that is one error, until it has answered in between.
        """
        if not isinstance(event, (Counted, Created, Trouble)):
            return False
        with self._lock:
            before = self._of(event.device)
            self._known[event.device] = after = self._learn(before, event)
        return after != before

    def _of(self, device: str) -> Status:
        if device not in self._known:
            self._known[device] = Status.read(self._recall(device) or "")
        return self._known[device]

    def _learn(self, status: Status, event: Counted | Created | Trouble) -> Status:
        if isinstance(event, Counted):
            self._answering.add(event.device)
            if event.users is None:
                return status
            return status._replace(users=event.users, users_capacity=event.capacity, users_free=event.free)
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
        if isinstance(event, Created):
            return status._replace(last_user=Added(event.user_id, at))
        known = status.last_error
        is_old = event.probe and event.device not in self._answering
        self._answering.discard(event.device)
        if is_old and known is not None and (known.code, known.error) == (event.code, event.error):
            return status
        return status._replace(last_error=Error(event.code, event.error, at))


def _facts(part: Error | Added | None) -> dict[str, Any] | None:
    return None if part is None else part._asdict()
