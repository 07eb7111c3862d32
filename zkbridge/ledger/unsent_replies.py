"""Keeps the answers that the broker has not confirmed, and which of them a thread is sending."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable

from zkbridge.ledger.database import Database
from zkbridge.ledger.pending_enables import PendingEnables
from zkbridge.ledger.records import Answer
from zkbridge.ledger.retention import Retention
from zkbridge.ledger.rows import UNSENT, answer_of


class UnsentReplies:
    """The replies on their way out. `has_readings`: some answers are forgotten as soon as they are confirmed."""

    def __init__(
        self,
        database: Database,
        enables: PendingEnables,
        retention: Retention,
        *,
        clock: Callable[[], float],
        has_readings: bool,
    ) -> None:
        self._database = database
        self._enables = enables
        self._retention = retention
        self._clock = clock
        self._has_readings = has_readings
        self._handed_out: set[int] = set()

    def unsent(self, limit: int) -> list[Answer]:
        """Answers that the broker has not confirmed, oldest first, except those that a thread is sending."""
        rows = self._database.read(f"{UNSENT} ORDER BY a.id LIMIT ?", limit + len(self._handed_out))
        return [answer_of(row) for row in rows if row["id"] not in self._handed_out][:limit]

    def hand_out(self, db: sqlite3.Connection, requests: list[int]) -> list[Answer]:
        """The answers to these requests that are owed."""
        rows = db.execute(
            f"{UNSENT} AND a.request IN (SELECT value FROM json_each(?)) ORDER BY a.id",  # noqa: S608 - a constant
            (json.dumps(requests),),
        )
        answers = [answer_of(row) for row in rows]
        self._handed_out.update(answer.id for answer in answers)
        return answers

    def release(self, answers: Iterable[Answer]) -> None:
        """Note that these are no longer being sent: whether they were confirmed is known."""
        self._handed_out.difference_update([answer.id for answer in answers])

    def sent(self, answers: Iterable[int]) -> None:
        """The broker has confirmed these answers. After a crash they may be sent once more."""
        wanted = json.dumps(list(answers))

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE answers SET owed = 0, sent_at = ? WHERE id IN (SELECT value FROM json_each(?))",
                (self._clock(), wanted),
            )
            db.execute(
                "UPDATE requests SET state = 'sent' WHERE state = 'done' AND id IN"
                " (SELECT request FROM answers WHERE id IN (SELECT value FROM json_each(?)))",
                (wanted,),
            )
            self._enables.write(db)

        self._database.write(work, urgent=False)
        if self._has_readings:
            self._retention.note_freed(parked=False)  # what was read may be in the write-ahead log

    def redirect(self, answer: int) -> None:
        """Send this answer to its fallback topic: the broker refuses the one that the caller asked for."""
        self._database.write_one("UPDATE answers SET topic = fallback WHERE id = ?", answer)
