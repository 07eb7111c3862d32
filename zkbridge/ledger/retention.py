"""Forgets old answers, and every password as soon as its request is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from zkbridge.ledger.database import Database
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.facts import PUT_FACT
from zkbridge.ledger.schema import ENDED, FORGET_READ

#: More unfinished requests than this are not written anew each time something is to be forgotten.
REWRITTEN_AT_MOST = 500
#: And more than these that wait for terminals: they are rewritten only when one of them has ended.
PARKED_REWRITTEN_AT_MOST = 20_000


class Retention:
    """Forgets what was answered. `note_freed` says that something secret is not needed any more: `scrub` wipes it."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        # By a run that was killed before it could empty the write-ahead log.
        self._secrets_freed = self._parked_freed = True

    def note_freed(self, *, parked: bool = True) -> None:
        """What was asked is done, or was confirmed; with `parked` perhaps what waited for a terminal too."""
        self._secrets_freed = True
        self._parked_freed = self._parked_freed or parked

    def forget(self, *, keep_s: float, most: int) -> int:
        """Drop what was answered and sent more than `keep_s` seconds ago, and the oldest above `most`; how many."""

        def work(db: sqlite3.Connection) -> int:
            line = self._clock() - keep_s
            over = max(0, db.execute("SELECT count(*) FROM requests").fetchone()[0] - most)
            # A part is as old as its group's request, which may be younger than it: see `_split_again`.
            since = "coalesce((SELECT g.accepted_at FROM requests g WHERE g.id = requests.parent), accepted_at)"
            dropped = db.execute(
                f"DELETE FROM requests WHERE state IN ('done', 'sent') AND {ENDED} AND ({since} < ?"  # noqa: S608 - a constant
                " OR coalesce(parent, id) IN (SELECT id FROM requests ORDER BY id LIMIT ?))",
                (line, over),
            ).rowcount
            spare = max(0, db.execute("SELECT count(*) FROM answers WHERE request IS NULL").fetchone()[0] - most)
            dropped += db.execute(
                "DELETE FROM answers WHERE request IS NULL AND sent_at IS NOT NULL AND (made_at < ? OR id IN"
                " (SELECT id FROM answers WHERE request IS NULL ORDER BY id LIMIT ?))",
                (line, spare),
            ).rowcount
            db.execute("DELETE FROM retained WHERE seen_at < ?", (line,))
            db.execute(FORGET_READ)  # of versions that remembered it
            return dropped

        return self._database.write(work)

    def free_versions(self, device: str) -> None:
        """Let new documents have the versions of those that are answered, because a lower one follows on purpose.

        No disk is waited for: the new document is kept after it. Raises LedgerUnavailable.
        """
        answered = "device = ? AND command = 'users/desired' AND reply IS NOT NULL"
        self._database.write_one(f"UPDATE requests SET request_id = NULL WHERE {answered}", device, urgent=False)  # noqa: S608 - a constant

    def scrub(self) -> None:
        """Leave no password of a finished request in the file, nor in its write-ahead log.

        SQLite's secure_delete wipes a row where it stood last, not where it stood before its page was rearranged.
        So what is still asked is written anew onto pages that were wiped whole.
        """
        if not self._secrets_freed:
            return
        parked_freed = self._parked_freed
        self._secrets_freed = self._parked_freed = False
        try:
            rewritten = self._database.write(lambda db: _rewrite(db, "asked", REWRITTEN_AT_MOST), urgent=False)
            if parked_freed:
                parked_freed = not self._database.write(
                    lambda db: _rewrite(db, "parked", PARKED_REWRITTEN_AT_MOST), urgent=False
                )
            busy = self._database.checkpoint()
            # This commit empties the log, and waits for the disk for the log's head: let no request wait for that.
            self._database.write_one(PUT_FACT, "ledger", "scrubbed", str(self._clock()), urgent=False)
        except (LedgerUnavailable, sqlite3.Error):
            rewritten, busy = False, True  # tried again with the next request
        self._parked_freed = self._parked_freed or parked_freed
        self._secrets_freed = self._secrets_freed or busy or not rewritten


def _rewrite(db: sqlite3.Connection, table: str, most: int) -> bool:
    """Whether every page of what is asked was wiped; not while very much is waiting. No caller names `table`."""
    rows = db.execute(f"SELECT * FROM {table} LIMIT ?", (most + 1,)).fetchall()  # noqa: S608 - as above
    if len(rows) > most:
        return False
    db.execute(f"DELETE FROM {table}")  # noqa: S608 - without a condition: SQLite drops the pages, and wipes them
    if rows:
        places = ", ".join("?" * len(rows[0]))
        db.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - as above
    return True
