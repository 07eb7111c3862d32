"""Messages with documents as they came, kept until each is read: reading thousands of rows is no work of a moment."""

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
#: A Response Topic that is not UTF-8 came as half surrogates, which SQLite takes as no text.
_LAX = "surrogatepass"
#: The devices that have the oldest document already.
_DONE = ("ledger", "unread done")


class Unread(NamedTuple):
    """A message that is kept and was not read; `done` are the devices that have it already, of a group's."""

    id: int
    message: Message
    done: frozenset[str]


class ReadStep(NamedTuple):
    """One device's turn of an unread message. After the last one it is read, and kept no longer.

    `completes`: it is a part with which the manifest that waits for the device is whole.
    """

    unread: Unread
    device: str
    is_last: bool
    completes: bool = False

    def note(self, db: sqlite3.Connection) -> None:
        """Note it in the transaction that keeps what follows from it: a crash repeats both or none."""
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
        """Note a turn after which nothing is to be kept. A power cut may take that back; it is read again then."""
        self._database.write(step.note, urgent=False)


def _row(message: Message) -> tuple[object, ...]:
    values = (getattr(message, name) for name in _FIELDS)
    return tuple(value.encode("utf-8", _LAX) if isinstance(value, str) else value for value in values)


def _text(value: bytes) -> str:
    return value.decode("utf-8", _LAX)
