"""Finds what the ledger knows of a message before it is kept: a new request, a copy, or the same message again."""

from __future__ import annotations

import enum
import hmac
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from zkbridge.ledger import repeats
from zkbridge.ledger.database import Database
from zkbridge.ledger.facts import PUT_FACT
from zkbridge.ledger.records import Draft, PartKey

_SETTLED = "SELECT coalesce((SELECT value FROM facts WHERE subject = 'ledger' AND name = 'settled'), 0)"


class Finding(enum.Enum):
    """What the ledger knows of a message before it is kept."""

    KNOWN = "known"  #: a redelivery of a message that is kept already, or a retained one seen before
    ANSWERED = "answered"  #: it has its reply already, as a draft
    COPY = "copy"  #: a copy of a request that is under way, or that has an answer which stands
    REUSED = "reused"  #: its request_id was used with other content
    NEW = "new"  #: a request to carry out, for the first time or anew


class Found(NamedTuple):
    """A draft with what the ledger knows of it.

    `row` is the earlier request with the same request_id, and `earlier` are its parts, of a group's request that is
    carried out anew; they are the ledger's own.
    """

    finding: Finding
    draft: Draft
    row: sqlite3.Row | None = None
    earlier: tuple[repeats.Part, ...] = ()

    @property
    def asked(self) -> frozenset[PartKey]:
        """The members that a group's new request is to ask, or the rows of a list."""
        if self.earlier:
            return frozenset(part.key for part in self.earlier if part.anew)
        return frozenset(part.key for part in self.draft.parts)


class Finder:
    """Finds what is known of each message, in the order in which they came; one thread at a time."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: The last connection on which all had come that the broker brings again: it may still bring what came since.
        self._settled = int(database.read(_SETTLED)[0][0])

    @contextmanager
    def unless_taken_back(self) -> Iterator[None]:
        """Forget that a connection is settled if that is not kept: the next one brings again what came before it."""
        before = self._settled
        try:
            yield
        except BaseException:
            self._settled = before
            raise

    def find(self, db: sqlite3.Connection, draft: Draft) -> Found:
        """What is known of a message; notes that it came, where only that distinguishes it from the next one."""
        if draft.retained and not self._first_sight(db, draft):
            return Found(Finding.KNOWN, draft)
        if draft.dup and self._is_redelivery(db, draft):
            return Found(Finding.KNOWN, draft)
        if draft.reply is not None:
            return Found(Finding.ANSWERED, draft)
        if draft.settled and draft.connection > self._settled:
            self._settled = draft.connection
            db.execute(PUT_FACT, ("ledger", "settled", str(draft.connection)))
        copy = _copy_of(db, draft)
        if copy is not None and not _begins_anew(db, draft, copy):
            return Found(Finding.REUSED if _is_other(draft, copy) else Finding.COPY, draft, row=copy)
        return Found(Finding.NEW, draft, copy, _earlier_parts(db, draft, copy))

    def _first_sight(self, db: sqlite3.Connection, draft: Draft) -> bool:
        """A retained message comes again on every connect; it is answered once per topic and content."""
        seen = db.execute("INSERT OR IGNORE INTO retained VALUES (?, ?)", (draft.digest, self._clock()))
        return seen.rowcount == 1

    def _is_redelivery(self, db: sqlite3.Connection, draft: Draft) -> bool:
        """Whether this very message is kept: same packet id and content, since the last connection that was settled.

        A connection may end before the broker has brought all of it again, so the next one brings the rest. The packet
        id of an older connection proves nothing: the broker may have given it to another message.
        """
        row = db.execute(
            "SELECT max(id) FROM answers WHERE digest = ? AND mid = ? AND connection BETWEEN ? AND ?",
            (draft.digest, draft.mid, self._settled, draft.connection),
        ).fetchone()
        if row[0] is None:
            return False
        db.execute("UPDATE answers SET connection = ? WHERE id = ?", (draft.connection, row[0]))
        return True


def _copy_of(db: sqlite3.Connection, draft: Draft) -> sqlite3.Row | None:
    if draft.request_id is None:
        return None
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM requests WHERE device = ? AND command = ? AND request_id = ?",
        (draft.device, draft.command, draft.request_id),
    ).fetchone()
    return row


def _earlier_parts(db: sqlite3.Connection, draft: Draft, row: sqlite3.Row | None) -> tuple[repeats.Part, ...]:
    """The parts of a group's request that is carried out anew; none if its answer is forgotten."""
    if row is None or not draft.parts or row["reply"] == repeats.FORGOTTEN:
        return ()
    return tuple(repeats.parts_of(db, row["id"], {part.device for part in draft.parts}))


def _begins_anew(db: sqlite3.Connection, draft: Draft, row: sqlite3.Row) -> bool:
    """Whether a caller has sent again what failed and can be carried out anew.

    The broker may only have brought the first message again: by its flag, or where it may still do so on this
    connection. That message has its answer.
    """
    if _is_other(draft, row) or not repeats.begins_anew(db, row, {part.device for part in draft.parts}):
        return False
    if row["reply"] == repeats.FORGOTTEN:
        return True
    may_come_again = bool(draft.mid) and (draft.dup or not draft.settled)
    return not (may_come_again and repeats.may_be_redelivery(db, draft.digest, draft.connection))


def _is_other(draft: Draft, row: sqlite3.Row) -> bool:
    """Whether the same request_id asks for something else; what was asked may not be known any more."""
    return row["content"] is not None and not hmac.compare_digest(row["content"], draft.content)
