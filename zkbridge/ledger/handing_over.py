"""Keeps the requests that take another one's place: prepared in pieces, begun together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol

from zkbridge.ledger.database import Database
from zkbridge.ledger.outcomes import Outcomes
from zkbridge.ledger.records import Draft, Part, Request, State

#: Requests that are prepared, or dropped, with one commit: others wait for the disk no longer than for that.
PIECE = 250
_PREPARED = (
    "SELECT r.id FROM requests p JOIN requests r ON r.parent = p.id WHERE p.state IN ('accepted', 'running')"
    " UNION ALL SELECT r.id FROM requests p JOIN requests r ON r.parent = p.id WHERE p.state = 'waiting'"
)


class PartKeeper(Protocol):
    """Keeps one part of a request; see Acceptance."""

    def insert_part(self, db: sqlite3.Connection, draft: Draft, part: Part, whole: Request) -> Request:
        """Keep it."""


class HandingOver:
    """Has other requests do what one has asked. `prepare`, then `begin`.

    What is prepared is no work yet: the request still stands for all of it, until one commit lets the others take its
    place. A crash before that leaves the request as it was, and what was prepared is dropped at the next start.
    """

    def __init__(self, database: Database, outcomes: Outcomes, keeper: PartKeeper) -> None:
        self._database = database
        self._outcomes = outcomes
        self._keeper = keeper
        # Nothing is written at a start without need: the disk may be full, and the bridge starts all the same.
        if database.read(f"{_PREPARED} LIMIT 1"):
            self._drop(lambda db: db.execute(f"{_PREPARED} LIMIT ?", (PIECE,)).fetchall())

    def prepare(self, request: Request, parts: Sequence[Part], *, catch_up: bool) -> tuple[Request, ...]:
        """Keep what devices are to be asked in place of a request, in pieces, with a commit each.

        The requests that are to be worked on once `begin` has returned. What was prepared before is dropped.
        Raises LedgerUnavailable: what is prepared by then is dropped later.
        """
        self._drop(
            lambda db: db.execute(
                "SELECT r.id FROM requests p JOIN requests r ON r.parent = p.id"
                " WHERE p.id = ? AND p.state <> 'split' LIMIT ?",
                (request.id, PIECE),
            ).fetchall()
        )
        answer = self._database.read("SELECT max(correlation) FROM answers WHERE request = ?", request.id)[0]
        draft = Draft(
            b"",
            "",
            "",
            request_id=request.request_id,
            correlation=answer[0],
            expires_at=request.expires_at,
            catch_up=catch_up,
            language=request.language,
        )
        made: list[Request] = []
        for start in range(0, len(parts), PIECE):
            made += self._keep(request, draft, parts[start : start + PIECE])
        return tuple(each._replace(shares=len(parts)) for each in made if each.state is not State.DONE)

    def begin(self, request: Request) -> None:
        """Let what was prepared take the request's place, with one commit; it is answered with the last of them.

        Raises LedgerUnavailable, and then nothing has changed.
        """

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE requests SET state = 'split' WHERE id = ?", (request.id,))
            db.execute("DELETE FROM asked WHERE request = ?", (request.id,))
            self._outcomes.complete(db, [request.id])

        self._database.write(work)

    def _keep(self, request: Request, draft: Draft, parts: Sequence[Part]) -> list[Request]:
        return self._database.write(
            lambda db: [self._keeper.insert_part(db, draft, part, request) for part in parts], urgent=False
        )

    def _drop(self, find: Callable[[sqlite3.Connection], list[sqlite3.Row]]) -> None:
        def work(db: sqlite3.Connection) -> int:
            rows = [(row[0],) for row in find(db)]
            db.executemany("DELETE FROM asked WHERE request = ?", rows)
            db.executemany("DELETE FROM requests WHERE id = ?", rows)
            return len(rows)

        while self._database.write(work, urgent=False) == PIECE:
            pass
