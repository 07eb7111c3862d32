"""What becomes of each message: a new request, a copy of one, or an answer at once."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import Protocol

from zkbridge.contract.messages import Reply
from zkbridge.ledger import repeats
from zkbridge.ledger.database import Database
from zkbridge.ledger.outcomes import Outcomes
from zkbridge.ledger.records import Draft, Kept, Part, Request, State, Verdict
from zkbridge.ledger.rows import Address
from zkbridge.ledger.schema import ARRIVE


class Judge(Protocol):
    """Decides about a request of which only the ledger knows that it is new, or that its request_id is not."""

    def admit(self, draft: Draft) -> Reply | None:
        """The answer to a new request that is not taken on; of a group as a whole, then of each member."""

    def reused(self, draft: Draft) -> Reply:
        """The answer to a request_id that was used with other content."""


class Acceptance:
    """Keeps messages in the order in which they came; one thread at a time accepts."""

    def __init__(self, database: Database, outcomes: Outcomes, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._outcomes = outcomes
        self._clock = clock
        self._last_request = int(database.read("SELECT coalesce(max(id), 0) FROM requests")[0][0])
        last_connection = int(database.read("SELECT coalesce(max(connection), 0) FROM answers")[0][0])
        self._in_use = self._used_before = last_connection

    def keep(
        self,
        drafts: Iterable[Draft],
        judge: Judge,
    ) -> list[Kept]:
        """Keep every draft, in order, in one transaction. Raises LedgerUnavailable, and then nothing is kept.

        `judge` is asked only of what the ledger alone knows: that a request is new, or its request_id used before.
        """
        wanted = list(drafts)
        lone = len(wanted) == 1 and not (wanted[0].retained or wanted[0].parts)
        return self._database.write(lambda db: [self._keep_one(db, draft, judge) for draft in wanted], single=lone)

    def _keep_one(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        judge: Judge,
    ) -> Kept:
        if draft.retained and not self._first_sight(db, draft):
            return Kept(Verdict.KNOWN)
        if draft.connection > self._in_use:
            self._used_before, self._in_use = self._in_use, draft.connection
        if draft.dup and self._is_redelivery(db, draft):
            return Kept(Verdict.KNOWN)
        if draft.reply is not None:
            return self._answer(db, draft, draft.reply)
        copy = self._copy_of(db, draft)
        if copy is not None and not _begins_anew(db, draft, copy):
            return self._join(db, draft, copy, judge)
        if (refusal := judge.admit(draft)) is not None:
            return self._answer(db, draft, refusal)
        return self._take_on(db, draft, copy, judge)

    def _take_on(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        copy: sqlite3.Row | None,
        judge: Judge,
    ) -> Kept:
        if copy is not None:
            with repeats.all_or_nothing(db):
                return self._take_on_again(db, draft, copy, judge)
        suspect = _suspect_of(db, draft)
        if draft.parts:
            return self._split(db, draft, suspect, judge)
        return Kept(Verdict.NEW, self._insert(db, draft, Address.of(draft), suspect_of=suspect))

    def _take_on_again(self, db: sqlite3.Connection, draft: Draft, row: sqlite3.Row, judge: Judge) -> Kept:
        """A request of its own, which has the request_id from now on: what was answered stays answered."""
        repeats.free_request_id(db, row["id"])
        if draft.parts:
            earlier = repeats.parts_of(db, row["id"], [part.device for part in draft.parts])
            if not earlier or row["reply"] == repeats.FORGOTTEN:
                return self._split(db, draft, None, judge)
            return self._split_again(db, draft, earlier, judge)
        request = self._insert(db, draft, Address.of(draft), suspect_of=None)
        return Kept(Verdict.NEW, _carry_on(db, request, row["tried"]))

    def _split_again(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        earlier: list[repeats.Part],
        judge: Judge,
    ) -> Kept:
        """A group's request anew: what failed and may be carried out again is asked, the rest is as it was."""
        whole = self._insert(db, draft, Address.of(draft), suspect_of=None, state=State.SPLIT)
        wanted = {part.device: part for part in draft.parts}
        parts = []
        for place, old in enumerate(earlier):
            if not old.anew:
                repeats.move(db, old.id, whole.id, place)
                continue
            request = self._insert_part(db, draft, wanted[old.device], whole, judge)
            repeats.move(db, request.id, whole.id, place)
            if request.state is not State.DONE:
                parts.append(_carry_on(db, request, old.tried)._replace(shares=len(earlier)))
        return self._begun(db, draft, whole, parts)

    def _first_sight(self, db: sqlite3.Connection, draft: Draft) -> bool:
        """A retained message comes again on every connect; it is answered once per topic and content."""
        seen = db.execute("INSERT OR IGNORE INTO retained VALUES (?, ?)", (draft.digest, self._clock()))
        return seen.rowcount == 1

    def _is_redelivery(self, db: sqlite3.Connection, draft: Draft) -> bool:
        """Whether this very message is kept: same packet id and content, from this or the last connection in use.

        The packet id of an older connection proves nothing: the broker may have given it to another message.
        """
        row = db.execute(
            "SELECT max(id) FROM answers WHERE digest = ? AND mid = ? AND connection IN (?, ?)",
            (draft.digest, draft.mid, draft.connection, self._used_before),
        ).fetchone()
        if row[0] is None:
            return False
        db.execute("UPDATE answers SET connection = ? WHERE id = ?", (draft.connection, row[0]))
        return True

    def _copy_of(self, db: sqlite3.Connection, draft: Draft) -> sqlite3.Row | None:
        if draft.request_id is None:
            return None
        row: sqlite3.Row | None = db.execute(
            "SELECT * FROM requests WHERE device = ? AND command = ? AND request_id = ?",
            (draft.device, draft.command, draft.request_id),
        ).fetchone()
        return row

    def _join(self, db: sqlite3.Connection, draft: Draft, row: sqlite3.Row, judge: Judge) -> Kept:
        """A copy of a request: it waits for the same answer, or gets the stored one."""
        if _is_other(draft, row):
            return self._answer(db, draft, judge.reused(draft))
        self._insert_answer(db, draft, request=row["id"], replayed=True, owed=row["reply"] is not None)
        if row["reply"] is None:
            return Kept(Verdict.UNDER_WAY, request_id=draft.request_id)
        return Kept(
            Verdict.ANSWERED,
            reply=Reply(row["status"], row["code"], row["reply"]),
            request_id=draft.request_id,
            replayed=True,
        )

    def _answer(self, db: sqlite3.Connection, draft: Draft, reply: Reply) -> Kept:
        self._insert_answer(db, draft, reply=reply, owed=True)
        return Kept(Verdict.ANSWERED, reply=reply, request_id=draft.request_id)

    def _insert(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        address: Address | None,
        *,
        suspect_of: int | None,
        parent: int | None = None,
        state: State = State.ACCEPTED,
        reply: Reply | None = None,
    ) -> Request:
        """Keep a request, and where it is to be answered, if it is for itself."""
        now = self._clock()
        self._last_request += 1
        db.execute(
            ARRIVE,
            (
                self._last_request,
                draft.device,
                draft.command,
                draft.request_id if parent is None else None,
                draft.content,
                state,
                now,
                draft.expires_at,
                suspect_of,
                parent,
                draft.catch_up,
                *((reply.status, reply.code, reply.body, now) if reply else (None,) * 4),
                draft.params,
                *(address or (None,) * len(Address._fields)),
            ),
        )
        return Request(
            self._last_request,
            draft.device,
            draft.command,
            draft.request_id,
            draft.params,
            now,
            draft.expires_at,
            state,
            suspect_of=suspect_of,
            parent=parent,
            catch_up=draft.catch_up,
        )

    def _split(self, db: sqlite3.Connection, draft: Draft, suspect: int | None, judge: Judge) -> Kept:
        """A group's request, and one for each member; where no member can take it on, it is answered at once."""
        whole = self._insert(db, draft, Address.of(draft), suspect_of=suspect, state=State.SPLIT)
        parts = []
        for part in draft.parts:
            earlier = _part_of(db, suspect, part.device)
            request = self._insert_part(db, draft, part, whole, judge, suspect_of=earlier)
            if request.state is not State.DONE:
                parts.append(request._replace(shares=len(draft.parts)))
        return self._begun(db, draft, whole, parts)

    def _insert_part(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        part: Part,
        whole: Request,
        judge: Judge,
        *,
        suspect_of: int | None = None,
    ) -> Request:
        """One member's part of a group's request; done at once if the member cannot take it on."""
        own = draft._replace(device=part.device, parts=())
        reply = part.reply or judge.admit(own)
        state = State.ACCEPTED if reply is None else State.DONE
        # It answers for itself if the group has answered before it; no message of its own stands behind that.
        late = reply is None and draft.catch_up
        address = Address(b"", 0, 0, part.topic, part.topic, draft.correlation) if late else None
        return self._insert(db, own, address, suspect_of=suspect_of, parent=whole.id, state=state, reply=reply)

    def _begun(self, db: sqlite3.Connection, draft: Draft, whole: Request, parts: list[Request]) -> Kept:
        """What became of a group's request of which these parts are to be worked on."""
        if parts:
            return Kept(Verdict.NEW, request=whole, parts=tuple(parts))
        for ended in self._outcomes.complete(db, [whole.id]):
            return Kept(Verdict.ANSWERED, reply=ended.reply, request_id=draft.request_id)
        return Kept(Verdict.UNDER_WAY, request_id=draft.request_id)  # one that has waited is being caught up

    def _insert_answer(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        *,
        request: int | None = None,
        reply: Reply | None = None,
        replayed: bool = False,
        owed: bool = False,
    ) -> None:
        stored = (reply.status, reply.code, reply.body) if reply else (None, None, None)
        db.execute(
            "INSERT INTO answers (request, digest, connection, mid, topic, fallback, correlation, refused, replayed,"
            " made_at, owed, status, code, reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                request,
                *Address.of(draft),
                replayed,
                self._clock(),
                owed,
                *stored,
            ),
        )


def _part_of(db: sqlite3.Connection, group: int | None, device: str) -> int | None:
    row = db.execute("SELECT id FROM requests WHERE parent = ? AND device = ?", (group, device)).fetchone()
    return None if row is None else int(row[0])


def _begins_anew(db: sqlite3.Connection, draft: Draft, row: sqlite3.Row) -> bool:
    """Whether a caller has sent again what failed and can be carried out anew.

    The broker may only have brought the first message again: by its flag, or where it may still do so on this
    connection. That message has its answer.
    """
    if _is_other(draft, row) or not repeats.begins_anew(db, row, [part.device for part in draft.parts]):
        return False
    if row["reply"] == repeats.FORGOTTEN:
        return True
    may_come_again = bool(draft.mid) and (draft.dup or not draft.settled)
    return not (may_come_again and repeats.may_be_redelivery(db, draft.digest, draft.connection))


def _carry_on(db: sqlite3.Connection, request: Request, tried: str) -> Request:
    if not repeats.carry_on(db, request.id, tried):
        return request
    return request._replace(state=State.RUNNING, tried=tuple(json.loads(tried)))


def _suspect_of(db: sqlite3.Connection, draft: Draft) -> int | None:
    """The latest request of an earlier connection that this message may be a broker's replay of.

    RabbitMQ redelivers under new packet ids, aedes without DUP, and a Mosquitto that was killed replays what it
    had not yet noted as acknowledged. Content alone cannot tell that from a caller who asks twice: the terminal
    settles it (see `worker`).
    """
    if not draft.redeliverable:
        return None
    row = db.execute(
        "SELECT max(request) FROM answers WHERE digest = ? AND connection < ?", (draft.digest, draft.connection)
    ).fetchone()
    return None if row[0] is None else int(row[0])


def _is_other(draft: Draft, row: sqlite3.Row) -> bool:
    """Whether the same request_id asks for something else; what was asked may not be known any more."""
    return row["content"] is not None and not hmac.compare_digest(row["content"], draft.content)
