"""Keeps what is decided of each message: a new request, a copy of one, or an answer at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from zkbridge.contract.messages import Reply
from zkbridge.ledger import repeats
from zkbridge.ledger.database import Database
from zkbridge.ledger.finding import Finder, Found
from zkbridge.ledger.outcomes import Outcomes
from zkbridge.ledger.records import Draft, Kept, Part, Request, State, Verdict
from zkbridge.ledger.rows import Address
from zkbridge.ledger.schema import ARRIVE
from zkbridge.ledger.unread import ReadStep


class Batch:
    """Messages that are kept with one commit: for each, in the order in which they came, `find` and one of the others.

    The ledger says what it found; the caller decides, and says what to keep.
    """

    def __init__(self, acceptance: Acceptance, finder: Finder, db: sqlite3.Connection) -> None:
        self._acceptance = acceptance
        self._finder = finder
        self._db = db

    def find(self, draft: Draft) -> Found:
        """What the ledger knows of a message, those that were kept before it in this batch included."""
        return self._finder.find(self._db, draft)

    def skip(self, _found: Found) -> Kept:
        """Keep nothing of a message that is known."""
        return Kept(Verdict.KNOWN)

    def answer(self, found: Found, reply: Reply) -> Kept:
        """Keep a reply to a message, and no request."""
        return self._acceptance.answer(self._db, found.draft, reply)

    def join(self, found: Found) -> Kept:
        """Have a copy of a request wait for the same answer, or give it the stored one."""
        return self._acceptance.join(self._db, found)

    def note_read(self, step: ReadStep) -> None:
        """Note the turn of an unread document from which this batch follows."""
        step.note(self._db)

    def take_on(self, found: Found, parts: Sequence[Part] = ()) -> Kept:
        """Keep a new request; a group's with these parts, of which one with a `reply` is answered and not asked."""
        return self._acceptance.take_on(self._db, found, parts)


class Acceptance:
    """Keeps messages in the order in which they came; one thread at a time accepts."""

    def __init__(self, database: Database, outcomes: Outcomes, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._outcomes = outcomes
        self._clock = clock
        self._last_request = int(database.read("SELECT coalesce(max(id), 0) FROM requests")[0][0])
        self._finder = Finder(database, clock=clock)

    @contextmanager
    def batch(self, *, single: bool) -> Iterator[Batch]:
        """A batch in a `with`; see `Ledger.batch`. `single`: it is one message that is written with one statement."""
        with self._finder.unless_taken_back(), self._database.transaction(single=single) as db:
            yield Batch(self, self._finder, db)

    def take_on(self, db: sqlite3.Connection, found: Found, parts: Sequence[Part]) -> Kept:
        """As `Batch.take_on`."""
        draft = found.draft
        if found.row is not None:
            with repeats.all_or_nothing(db):
                return self._take_on_again(db, found, found.row, parts)
        suspect = _suspect_of(db, draft)
        if parts:
            return self._split(db, draft, suspect, parts)
        return Kept(Verdict.NEW, self._insert(db, draft, Address.of(draft), suspect_of=suspect))

    def _take_on_again(self, db: sqlite3.Connection, found: Found, row: sqlite3.Row, parts: Sequence[Part]) -> Kept:
        """A request of its own, which has the request_id from now on: what was answered stays answered."""
        draft = found.draft
        repeats.free_request_id(db, row["id"])
        if parts:
            if not found.earlier:
                return self._split(db, draft, None, parts)
            return self._split_again(db, draft, found.earlier, parts)
        request = self._insert(db, draft, Address.of(draft), suspect_of=None)
        return Kept(Verdict.NEW, _carry_on(db, request, row["tried"]))

    def _split_again(
        self, db: sqlite3.Connection, draft: Draft, earlier: Sequence[repeats.Part], parts: Sequence[Part]
    ) -> Kept:
        """A group's request anew: what failed and may be carried out again is asked, the rest is as it was."""
        whole = self._insert(db, draft, Address.of(draft), suspect_of=None, state=State.SPLIT)
        wanted = {part.key: part for part in reversed(parts)}  # of rows with one user_id the first was carried out
        begun = []
        for place, old in enumerate(earlier):
            if not old.anew:
                repeats.move(db, old.id, whole.id, place)
                continue
            request = self.insert_part(db, draft, wanted[old.key], whole)
            repeats.move(db, request.id, whole.id, place)
            if request.state is not State.DONE:
                begun.append(_carry_on(db, request, old.tried)._replace(shares=len(earlier)))
        return self._begun(db, draft, whole, begun)

    def join(self, db: sqlite3.Connection, found: Found) -> Kept:
        """As `Batch.join`."""
        draft, row = found.draft, found.row
        assert row is not None, "only a copy has something to join"
        self._insert_answer(db, draft, request=row["id"], replayed=True, owed=row["reply"] is not None)
        if row["reply"] is None:
            return Kept(Verdict.UNDER_WAY, request_id=draft.request_id)
        return Kept(
            Verdict.ANSWERED,
            reply=Reply(row["status"], row["code"], row["reply"]),
            request_id=draft.request_id,
            replayed=True,
        )

    def answer(self, db: sqlite3.Connection, draft: Draft, reply: Reply) -> Kept:
        """As `Batch.answer`."""
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
        user_id: str | None = None,
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
                user_id,
                draft.language,
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
            language=draft.language,
        )

    def _split(self, db: sqlite3.Connection, draft: Draft, suspect: int | None, parts: Sequence[Part]) -> Kept:
        """A group's request, and one for each member; where no member can take it on, it is answered at once."""
        whole = self._insert(db, draft, Address.of(draft), suspect_of=suspect, state=State.SPLIT)
        begun = []
        for part in parts:
            earlier = _part_of(db, suspect, part)
            request = self.insert_part(db, draft, part, whole, suspect_of=earlier)
            if request.state is not State.DONE:
                begun.append(request._replace(shares=len(parts)))
        return self._begun(db, draft, whole, begun)

    def insert_part(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        part: Part,
        whole: Request,
        *,
        suspect_of: int | None = None,
    ) -> Request:
        """Keep one member's part of a group's request; it is done at once if it has a reply already."""
        own = draft._replace(device=part.device, parts=())
        if part.command is not None:
            own = own._replace(command=part.command, params=part.params)
        reply = part.reply
        state = State.ACCEPTED if reply is None else State.DONE
        # It answers for itself if the group has answered before it; no message of its own stands behind that.
        late = reply is None and draft.catch_up
        address = Address(b"", 0, 0, part.topic, part.topic, draft.correlation) if late else None
        return self._insert(
            db,
            own,
            address,
            suspect_of=suspect_of,
            parent=whole.id,
            state=state,
            reply=reply,
            user_id=part.user_id,
        )

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


def _part_of(db: sqlite3.Connection, group: int | None, part: Part) -> int | None:
    row = db.execute(
        "SELECT id FROM requests WHERE parent = ? AND device = ? AND user_id IS ? ORDER BY coalesce(place, id)",
        (group, *part.key),
    ).fetchone()
    return None if row is None else int(row[0])


def _carry_on(db: sqlite3.Connection, request: Request, tried: str) -> Request:
    if not repeats.carry_on(db, request.id, tried):
        return request
    return request._replace(state=State.RUNNING, tried=tuple(json.loads(tried)))


def _suspect_of(db: sqlite3.Connection, draft: Draft) -> int | None:
    """The latest request of an earlier connection that this message may be a broker's replay of.

    RabbitMQ redelivers under new packet ids, aedes without DUP, and a Mosquitto that was killed replays what it
    had not yet noted as acknowledged. Content alone does not distinguish that from a second request: the terminal
    settles it (see `worker`).
    """
    if not draft.redeliverable:
        return None
    row = db.execute(
        "SELECT max(request) FROM answers WHERE digest = ? AND connection < ?", (draft.digest, draft.connection)
    ).fetchone()
    return None if row[0] is None else int(row[0])
