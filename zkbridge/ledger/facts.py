"""What is remembered of terminals and brokers, such as a terminal's record size."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from zkbridge.ledger.database import Database

PUT_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)"
DROP_FACT = "DELETE FROM facts WHERE subject = ? AND name = ?"


class Facts:
    """Texts by subject and name, and the number of the last connection to the broker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = int(self.recall("ledger", "connection") or 0)

    def recall(self, subject: str, name: str) -> str | None:
        """A remembered fact. Raises LedgerUnavailable."""
        rows = self._database.read("SELECT value FROM facts WHERE subject = ? AND name = ?", subject, name)
        return str(rows[0][0]) if rows else None

    def remember(self, subject: str, name: str, value: str) -> None:
        """Keep a fact until it is replaced. Raises LedgerUnavailable."""
        self._database.write_one(PUT_FACT, subject, name, value)

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

        self._database.write(work, urgent=urgent)

    def forget(self, subject: str, name: str) -> None:
        """Keep a fact no longer. Raises LedgerUnavailable."""
        self._database.write_one(DROP_FACT, subject, name)

    def next_connection(self) -> int:
        """The number of a new connection to the broker; it never repeats. Raises LedgerUnavailable."""

        def work(db: sqlite3.Connection) -> int:
            self._connection += 1
            db.execute(PUT_FACT, ("ledger", "connection", str(self._connection)))
            return self._connection

        return self._database.write(work)
