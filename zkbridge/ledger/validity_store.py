"""Keeps users' dates (`valid_from`, `valid_until`) that are still to be carried out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from zkbridge.contract.validity import Validity
from zkbridge.ledger.database import Database
from zkbridge.ledger.records import USER_EVENT, ValidityChange


class ValidityStore:
    """The dates of the users of all devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, device: str) -> dict[str, Validity]:
        """The dates of one device's users, by user_id. Raises LedgerUnavailable."""
        rows = self._database.read("SELECT user_id, valid_from, valid_until FROM validities WHERE device = ?", device)
        return {row["user_id"]: Validity(row["valid_from"], row["valid_until"]) for row in rows}

    def carry_out(self, changes: Iterable[tuple[ValidityChange, bytes | None]]) -> None:
        """Keep what is left after a moment, and the event that is to be published, if there is one, in one commit.

        Raises LedgerUnavailable, and then nothing is kept.
        """
        wanted = list(changes)

        def work(db: sqlite3.Connection) -> None:
            write(db, (change for change, _ in wanted))
            db.executemany(
                "INSERT INTO punches (device, body, kind) VALUES (?, ?, ?)",
                [(change.device, event, USER_EVENT) for change, event in wanted if event is not None],
            )

        self._database.write(work)


def write(db: sqlite3.Connection, changes: Iterable[ValidityChange]) -> None:
    """Write changes in the transaction of something else."""
    for device, user_id, validity in changes:
        if validity == Validity():
            db.execute("DELETE FROM validities WHERE device = ? AND user_id = ?", (device, user_id))
        else:
            db.execute("INSERT OR REPLACE INTO validities VALUES (?, ?, ?, ?)", (device, user_id, *validity))
