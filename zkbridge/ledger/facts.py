"""What is remembered of terminals and brokers, such as a terminal's record size."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping

from zkbridge.ledger.database import Database
from zkbridge.ledger.errors import LedgerUnavailable

log = logging.getLogger(__name__)

PUT_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)"
DROP_FACT = "DELETE FROM facts WHERE subject = ? AND name = ?"


class Facts:
    """Texts by subject and name, and the number of the last connection to the broker.

    `held` are names of facts that are asked for again and again: they are held in memory as they are in the file.
    """

    def __init__(self, database: Database, held: Iterable[str] = ()) -> None:
        self._database = database
        self._held_names = frozenset(held)
        self._held = {key: value for name in self._held_names for key, value in self._read_all(name)}
        self._holding = threading.Lock()
        self._connection = int(self.recall("ledger", "connection") or 0)

    def recall(self, subject: str, name: str) -> str | None:
        """A remembered fact. Raises LedgerUnavailable, but not for one that is held in memory."""
        if name in self._held_names:
            return self._held.get((subject, name))
        rows = self._database.read("SELECT value FROM facts WHERE subject = ? AND name = ?", subject, name)
        return str(rows[0][0]) if rows else None

    def remember(self, subject: str, name: str, value: str) -> None:
        """Keep a fact until it is replaced. Raises LedgerUnavailable."""
        self.write(subject, {name: value})

    def keep(self, subject: str, name: str, value: str) -> None:
        """Keep a fact that can be found out anew: one that the disk does not take is logged."""
        try:
            self.remember(subject, name, value)
        except LedgerUnavailable as failure:
            log.warning("what is known of %s is not kept: %s", subject, failure)

    def write(self, subject: str, values: Mapping[str, str | None], *, urgent: bool = True) -> None:
        """Keep these facts, and forget those that are None, with one commit; `urgent` as for `Database.write`.

        Raises LedgerUnavailable.
        """

        def work(db: sqlite3.Connection) -> None:
            for name, value in values.items():
                if value is None:
                    db.execute(DROP_FACT, (subject, name))
                else:
                    db.execute(PUT_FACT, (subject, name, value))

        if self._held_names.isdisjoint(values):
            self._database.write(work, urgent=urgent, single=len(values) == 1)
            return
        with self._holding:  # so that of two threads the one that wrote last is also the last here
            self._database.write(work, urgent=urgent, single=len(values) == 1)
            for name in self._held_names.intersection(values):
                self._hold(subject, name, values[name])

    def forget(self, subject: str, name: str) -> None:
        """Keep a fact no longer. Raises LedgerUnavailable."""
        self.write(subject, {name: None})

    def next_connection(self) -> int:
        """The number of a new connection to the broker; it never repeats. Raises LedgerUnavailable."""

        def work(db: sqlite3.Connection) -> int:
            self._connection += 1
            db.execute(PUT_FACT, ("ledger", "connection", str(self._connection)))
            return self._connection

        return self._database.write(work)

    def _hold(self, subject: str, name: str, value: str | None) -> None:
        if value is None:
            self._held.pop((subject, name), None)
        else:
            self._held[subject, name] = value

    def _read_all(self, name: str) -> list[tuple[tuple[str, str], str]]:
        rows = self._database.read("SELECT subject, value FROM facts WHERE name = ?", name)
        return [((str(subject), name), str(value)) for subject, value in rows]
