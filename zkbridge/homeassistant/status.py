"""What is known of each terminal beyond whether it answers: what it is, how full, its clock, its door, its errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from zkbridge.contract.messages import encode
from zkbridge.contract.texts import shown
from zkbridge.homeassistant.door import DoorLock, LockState
from zkbridge.telemetry.events import ClockRead, Counted, Created, DoorAnswered, DoorAsked, Event, Identified, Trouble

#: The name of a status among the facts of a device.
STATUS = "status"

#: A clock is reported in whole seconds, so the difference may be wrong by one: a change of so many is not published.
DRIFT_NOISE_S = 1
_Told = Counted | Created | Trouble | Identified | ClockRead


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
    device_name: str | None = None
    serialnumber: str | None = None
    firmware_version: str | None = None
    clock_drift_s: int | None = None
    lock: LockState | None = None

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


class KeptFacts(Protocol):
    """What was kept on disk."""

    def recall(self, subject: str, name: str, /) -> str | None:
        """Return a fact, or None."""


class Statuses:
    """Every terminal's status. For any thread; `facts` have what an earlier run wrote of a device."""

    def __init__(
        self,
        facts: KeptFacts,
        *,
        clock: Callable[[], float] = time.time,
        passed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._facts = facts
        self._clock = clock
        self._passed_s = passed_s
        self._lock = threading.Lock()
        self._known: dict[str, Status] = {}
        self._locks: dict[str, DoorLock] = {}
        self._answering: set[str] = set()

    def of(self, device: str) -> Status:
        """What is known of a device."""
        with self._lock:
            return self._of(device)

    def hear(self, event: Event) -> bool:
        """Learn from what happened; whether that was news.

        A terminal that is away is probed again and again: that is one error until it has answered.
        """
        if not isinstance(event, _Told | DoorAsked | DoorAnswered):
            return False
        with self._lock:
            before = self._of(event.device)
            if isinstance(event, DoorAsked | DoorAnswered):
                after = self._hear_of_door(before, event)
            else:
                after = self._learn(before, event)
            self._known[event.device] = after
        return after != before

    def lock_left_s(self, device: str) -> float | None:
        """The seconds until a door that was opened is locked again; None where it is not open, or is locked now."""
        with self._lock:
            status, lock = self._of(device), self._locks[device]
            left_s = lock.left_s()
            self._known[device] = status._replace(lock=lock.state)
            return left_s

    def _of(self, device: str) -> Status:
        if device not in self._known:
            status = Status.read(self._facts.recall(device, STATUS) or "")
            self._locks[device] = lock = DoorLock(status.lock, clock=self._passed_s)
            self._known[device] = status._replace(lock=lock.state)
        return self._known[device]

    def _hear_of_door(self, status: Status, event: DoorAsked | DoorAnswered) -> Status:
        lock = self._locks[event.device]
        if isinstance(event, DoorAsked):
            lock.ask()
        else:
            lock.answer(event.seconds, event.opened)
        return status._replace(lock=lock.state)

    def _learn(self, status: Status, event: _Told) -> Status:
        if isinstance(event, Identified | ClockRead):
            return _identified(status, event) if isinstance(event, Identified) else _clock_read(status, event.drift_s)
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


def _identified(status: Status, event: Identified) -> Status:
    """What a terminal would not say this time stays as it was, unless it is another terminal."""
    told = [shown(text) or None for text in (event.serial_number, event.name, event.firmware)]
    known = [status.serialnumber, status.device_name, status.firmware_version]
    if told[0] is None or told[0] == known[0]:
        told = [new or old for new, old in zip(told, known, strict=True)]
    return status._replace(serialnumber=told[0], device_name=told[1], firmware_version=told[2])


def _clock_read(status: Status, drift_s: float) -> Status:
    """Half a second is what a clock in whole seconds is behind on average."""
    known, drift = status.clock_drift_s, round(drift_s + 0.5)
    if known is not None and drift != 0 and abs(drift - known) <= DRIFT_NOISE_S:
        return status
    return status._replace(clock_drift_s=drift)


def _facts(part: Error | Added | None) -> dict[str, Any] | None:
    return None if part is None else part._asdict()
