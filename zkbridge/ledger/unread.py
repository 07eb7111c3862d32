"""Stores documents as they came, until each is read: reading thousands of rows takes seconds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from zkbridge.contract.messages import Message
from zkbridge.ledger.database import Database, ignore
from zkbridge.ledger.documents import MANIFEST
from zkbridge.ledger.facts import DROP_FACT, PUT_FACT

_FIELDS = ("topic", "payload", "qos", "retain", "dup", "mid", "connection", "response_topic", "correlation_data")
_ADD = f"INSERT INTO unread ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"  # noqa: S608 - our own names
_OLDEST = f"SELECT id, {', '.join(_FIELDS)} FROM unread ORDER BY id LIMIT 1"  # noqa: S608 - our own names
#: A Response Topic that is not UTF-8 has lone surrogates, and SQLite does not store those as text.
_LAX = "surrogatepass"
#: The fact that lists the devices for which the oldest document was read already.
_DONE = ("ledger", "unread done")


class Unread(NamedTuple):
    """A stored message that is not read yet; `done` are the group's devices for which it was read already."""

    id: int
    message: Message
    done: frozenset[str]


class ReadStep(NamedTuple):
    """One device for which an unread message is read. After the last device the message is deleted.

    `completes`: the message is the last missing part of the manifest that waits for the device.
    """

    unread: Unread
    device: str
    is_last: bool
    completes: bool = False

    def note(self, db: sqlite3.Connection) -> None:
        """Record the step in the transaction that stores its result: a crash repeats both or neither."""
        if self.completes:
            db.execute(DROP_FACT, (self.device, MANIFEST))
        if not self.is_last:
            done = json.dumps(sorted({*self.unread.done, self.device}))
            db.execute(PUT_FACT, (*_DONE, done))
            return
        db.execute(DROP_FACT, _DONE)
        if db.execute("SELECT count(*) FROM unread").fetchone()[0] == 1:
            db.execute("DELETE FROM unread")  # without a condition: SQLite drops the pages, and wipes them
        else:
            db.execute("DELETE FROM unread WHERE id = ?", (self.unread.id,))


class UnreadDocuments:
    """Unread messages, in the order in which they came. Each method raises LedgerUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, messages: Iterable[Message]) -> None:
        """Keep messages until they are read; all of them with one commit."""
        rows = [_row(message) for message in messages]
        self._database.write(lambda db: ignore(db.executemany(_ADD, rows)))

    def size(self) -> int:
        """The bytes of their payloads."""
        return int(self._database.read("SELECT coalesce(sum(length(payload)), 0) FROM unread")[0][0])

    def is_empty(self) -> bool:
        """Whether all were read."""
        return not self._database.read("SELECT 1 FROM unread LIMIT 1")

    def oldest(self) -> Unread | None:
        """The one that came first; None where all were read."""
        rows = self._database.read(_OLDEST)
        if not rows:
            return None
        number, topic, payload, qos, retain, dup, mid, connection, response_topic, correlation = rows[0]
        done = self._database.read("SELECT value FROM facts WHERE subject = ? AND name = ?", *_DONE)
        wanted = None if response_topic is None else _text(response_topic)
        message = Message(
            _text(topic),
            payload,
            qos,
            retain=bool(retain),
            dup=bool(dup),
            mid=mid,
            connection=connection,
            response_topic=wanted,
            correlation_data=correlation,
        )
        return Unread(number, message, frozenset(json.loads(done[0][0]) if done else ()))

    def note(self, step: ReadStep) -> None:
        """Record a step that has no result to store. After a power cut it may be repeated."""
        self._database.write(step.note, urgent=False)


def _row(message: Message) -> tuple[object, ...]:
    values = (getattr(message, name) for name in _FIELDS)
    return tuple(value.encode("utf-8", _LAX) if isinstance(value, str) else value for value in values)


def _text(value: bytes) -> str:
    return value.decode("utf-8", _LAX)
