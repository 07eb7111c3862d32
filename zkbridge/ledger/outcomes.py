"""Keeps how far each request got, and its answer, for the threads of the terminals."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable

from zkbridge.contract.messages import Reply, about_user, flagged
from zkbridge.ledger.database import Database
from zkbridge.ledger.pending_enables import PendingEnables
from zkbridge.ledger.records import Combine, Ended, Finish, Finished, Parked, Request, State, ValidityChange, Waiting
from zkbridge.ledger.retention import Retention
from zkbridge.ledger.rows import (
    MANY_REQUESTS,
    REQUESTS,
    UNDER_WAY,
    log_answer,
    parent_of,
    request_of,
    said_of,
    user_of,
    waiting_of,
)
from zkbridge.ledger.schema import END
from zkbridge.ledger.unsent_replies import UnsentReplies
from zkbridge.ledger.validity_store import write as write_validities

log = logging.getLogger(__name__)


class Outcomes:
    """Requests on their way to an answer, a group's with its members'. `combine` makes a group's reply of theirs."""

    def __init__(
        self,
        database: Database,
        unsent: UnsentReplies,
        enables: PendingEnables,
        retention: Retention,
        *,
        clock: Callable[[], float],
        combine: Combine,
    ) -> None:
        self._database = database
        self._unsent = unsent
        self._enables = enables
        self._retention = retention
        self._clock = clock
        self._combine = combine

    def unfinished(self) -> list[Request]:
        """Every request that has no answer yet, oldest first: what a crash or a stop left.

        Not what is waiting, and not what is only prepared to take another one's place.
        """
        rows = self._database.read(f"{MANY_REQUESTS} WHERE {UNDER_WAY} ORDER BY r.id")
        return [request_of(row) for row in rows]

    def running(self, intents: Iterable[tuple[int, object]]) -> None:
        """Note, before the terminal is asked, what each request is about to change."""
        wanted = [(json.dumps(intent), request) for request, intent in intents]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "UPDATE requests SET state = 'running', tried = json_insert(tried, '$[#]', json(?)) WHERE id = ?",
                wanted,
            )

        self._database.write(work, single=len(wanted) == 1)

    def finish(
        self,
        finishes: Iterable[Finish],
        *,
        parked: Iterable[Parked] = (),
        pending_enable: str | None = None,
        validities: Iterable[ValidityChange] = (),
    ) -> Finished:
        """Keep the replies of finished requests and forget what was asked, all in one transaction.

        `parked` are requests that wait for their terminal from now on; what was asked by them is kept.
        `pending_enable` names a device that may still be disabled: that is kept in the same transaction, and so are the
        changes of users' dates.
        """
        wanted, waiting, dates = list(finishes), list(parked), list(validities)

        def work(db: sqlite3.Connection) -> Finished:
            now = self._clock()
            groups = [self._finish_one(db, finish, now, pending_enable) for finish in wanted]
            groups += [_park(db, each) for each in waiting]
            if pending_enable is not None:
                self._enables.add(pending_enable)
                if not wanted:
                    db.execute("INSERT OR IGNORE INTO debts VALUES (?, ?)", (pending_enable, now))
            write_validities(db, dates)
            ended = self.complete(db, groups)
            return Finished(
                ended, self._unsent.hand_out(db, [*(f.request.id for f in wanted), *(e.request.id for e in ended)])
            )

        lone = len(wanted) == 1 and not waiting and not dates and wanted[0].request.parent is None
        finished = self._database.write(work, single=lone)
        for each in finished.groups:
            log_answer(log, each.request, each.reply)
        self._retention.note_freed()
        return finished

    def _finish_one(self, db: sqlite3.Connection, finish: Finish, now: float, pending_enable: str | None) -> int | None:
        """The group's request that this one is a part of, if it is."""
        reply, replayed = finish.reply, finish.replayed
        parent = None if finish.request.parent is None else parent_of(db, finish.request.id)
        # A part's reply is sent within another one, or later: what belongs to its delivery is sent with it.
        body = reply.body if parent is None else flagged(reply.body, replayed=replayed)
        if parent is not None and not reply.success and (user_id := user_of(db, finish.request.id)):
            body = about_user(body, user_id)
        db.execute(
            END,
            (
                finish.request.id,
                parent,
                reply.status,
                reply.code,
                body,
                now,
                replayed and parent is None,
                pending_enable,
                reply.open_effect == "unknown",
            ),
        )
        return parent

    def complete(self, db: sqlite3.Connection, groups: Iterable[int | None]) -> list[Ended]:
        """Answer each group's request of which no part is under way any more; those that this has ended.

        None stands for what is no part of a group's.
        One that was answered already, while a member was waiting, is answered anew when a caller asks for it again.
        """
        now, ended = self._clock(), []
        for number in dict.fromkeys(groups):
            if number is None:
                continue
            (whole,) = db.execute(f"{REQUESTS} WHERE r.id = ?", (number,)).fetchall()
            is_new = whole["state"] == State.SPLIT
            if is_new and _has_open_part(db, number):
                continue
            parts = db.execute(
                "SELECT r.device, r.command, r.user_id, r.status, r.code, coalesce(r.reply, p.reply) AS reply,"
                " r.reply IS NOT NULL AS ended, r.state, r.id < r.parent AND r.done_at < g.accepted_at AS replayed"
                " FROM requests r JOIN requests g ON g.id = r.parent LEFT JOIN parked p ON p.request = r.id"
                " WHERE r.parent = ? ORDER BY coalesce(r.place, r.id)",
                (number,),
            ).fetchall()
            handed_over = parts[0]["command"].startswith(f"{whole['command']}/")
            group = None if handed_over else whole["device"]
            reply = self._combine(
                group,
                [said_of(part) for part in parts],
                request_id=whole["request_id"],
                command=whole["command"],
                language=whole["language"],
            )
            db.execute(
                "UPDATE requests SET status = ?, code = ?, reply = ? WHERE id = ?",
                (reply.status, reply.code, reply.body, number),
            )
            if is_new:
                db.execute("UPDATE requests SET state = 'done', done_at = ? WHERE id = ?", (now, number))
                db.execute("UPDATE answers SET owed = 1 WHERE request = ? AND sent_at IS NULL", (number,))
                ended.append(Ended(request_of(whole), reply))
        return ended

    def waiting(self, device: str | None = None) -> list[Waiting]:
        """What waits for a device, or for any, oldest first; without what was asked."""
        rows = self._database.read(
            f"{REQUESTS} WHERE r.state = 'waiting' AND (r.device = ?1 OR ?1 IS NULL) ORDER BY r.id", device
        )
        return [waiting_of(row) for row in rows]

    def take_up(self, device: str, *, subject: str | None = None, most: int = 1000) -> list[Request]:
        """What has waited for a device, or for one thing on it, and is still good: it is under way from now on."""

        def work(db: sqlite3.Connection) -> list[Request]:
            rows = db.execute(
                f"{REQUESTS} WHERE r.state = 'waiting' AND r.device = ?1 AND (p.subject = ?2 OR ?2 IS NULL)"
                " AND r.expires_at > ?3 ORDER BY r.id LIMIT ?4",
                (device, subject, self._clock(), most),
            ).fetchall()
            db.executemany(
                "UPDATE requests SET state = CASE tried WHEN '[]' THEN 'accepted' ELSE 'running' END WHERE id = ?",
                [(row["id"],) for row in rows],
            )
            return [request_of(row) for row in rows]

        return self._database.write(work, urgent=False)

    def expire(self, answer: Callable[[Request], Reply]) -> list[Ended]:
        """Answer what has waited for too long; those requests, and the groups' that are answered with them."""

        def work(db: sqlite3.Connection) -> list[Ended]:
            now = self._clock()
            rows = db.execute(f"{REQUESTS} WHERE r.state = 'waiting' AND r.expires_at <= ?", (now,)).fetchall()
            late = [Ended(request, answer(request)) for request in map(request_of, rows)]
            groups = [self._finish_one(db, Finish(each.request, each.reply), now, None) for each in late]
            return late + self.complete(db, groups)

        ended = self._database.write(work)
        for each in ended:
            log_answer(log, each.request, each.reply)
        if ended:
            self._retention.note_freed()
        return ended

    def reply_of(self, request: int) -> Reply | None:
        """The stored reply of a request, if it has one and is still remembered."""
        rows = self._database.read(
            "SELECT status, code, reply FROM requests WHERE id = ? AND reply IS NOT NULL", request
        )
        return Reply(rows[0]["status"], rows[0]["code"], rows[0]["reply"]) if rows else None


def _has_open_part(db: sqlite3.Connection, number: int) -> bool:
    """Whether a part is under way: the last one is looked at first, since most groups and documents end with it."""
    row = db.execute(
        "SELECT 1 FROM requests WHERE parent = ? AND reply IS NULL AND state <> 'waiting' ORDER BY id DESC LIMIT 1",
        (number,),
    ).fetchone()
    return row is not None


def _park(db: sqlite3.Connection, parked: Parked) -> int | None:
    """What is asked moves to what waits; where it has waited before, it is there already. Its group's request."""
    db.execute(
        "INSERT OR IGNORE INTO parked SELECT request, ?, params, ? FROM asked WHERE request = ?",
        (parked.subject, parked.reply.body, parked.request),
    )
    db.execute("DELETE FROM asked WHERE request = ?", (parked.request,))
    db.execute("UPDATE parked SET reply = ? WHERE request = ?", (parked.reply.body, parked.request))
    db.execute("UPDATE requests SET state = 'waiting' WHERE id = ? AND reply IS NULL", (parked.request,))
    return parent_of(db, parked.request)
