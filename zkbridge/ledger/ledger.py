"""What was asked, how far it got, what was answered: on disk before anybody is told.

A request goes `accepted → running → done → sent`. Every change is one SQLite transaction in WAL mode with
synchronous=FULL, so that what a method returned from survives a power cut. Calls that arrive together are
committed together, with one fsync.

A group's request is `split` into one for each member; whichever of them ends last completes it, in the same
transaction. A member that is away may be `waiting`: then the group's answer says so, and its own comes later.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from zkbridge.contract.groups import Said, together
from zkbridge.contract.messages import Reply, flagged
from zkbridge.ledger import repeats
from zkbridge.ledger.schema import ARRIVE, END, ENDED, FORGET_READ, MIGRATIONS, TRIGGERS
from zkbridge.telemetry.snapshot import Books

log = logging.getLogger(__name__)

T = TypeVar("T")

#: More unfinished requests than this are not written anew each time something is to be forgotten.
REWRITTEN_AT_MOST = 500
#: And more than these that wait for terminals: they are rewritten only when one of them has ended.
PARKED_REWRITTEN_AT_MOST = 20_000

_PUT_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)"
#: What SQLite says of a statement or its values; every other DatabaseError is the disk's fault, or the file's.
_OF_THE_WORK = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.NotSupportedError)
_DAMAGED = ("file is not a database", "malformed", "file is encrypted")


class LedgerUnavailable(Exception):
    """The ledger cannot be written now (disk full, read-only, out of file descriptors); nothing was kept."""


class LedgerInUse(Exception):
    """Another daemon holds this state directory."""


class LedgerTooNew(Exception):
    """The file was written by a newer zkbridge; this one would not understand it."""


class State(enum.StrEnum):
    """How far a request got."""

    ACCEPTED = "accepted"  #: kept; the terminal has not been asked to change anything
    RUNNING = "running"  #: the terminal may have been asked to change something
    DONE = "done"  #: answered; the reply is kept
    SENT = "sent"  #: the broker has the reply
    SPLIT = "split"  #: a group's: its members' requests are under way
    WAITING = "waiting"  #: a member's: its terminal is away, and shall be caught up when it is back


class Combine(Protocol):
    """Makes a group's reply from its members', as `zkbridge.contract.groups.together` does."""

    def __call__(self, group: str, said: list[Said], *, request_id: str | None) -> Reply:
        """The group's reply; `said` is in the group's order."""


class Part(NamedTuple):
    """What a group's request asks of one member.

    `topic` is for an answer that comes later than the group's; `reply` that of a member that is not to be asked.
    """

    device: str
    topic: str
    reply: Reply | None = None


class Draft(NamedTuple):
    """One message as intake understood it: a request to keep, or (with `reply`) an answer to keep."""

    digest: bytes
    topic: str
    fallback: str
    connection: int = 0
    mid: int = 0
    dup: bool = False
    redeliverable: bool = False  #: came at QoS 1, so that the broker may bring it again
    settled: bool = True  #: came when nothing could be left of what the broker brings again on a new connection
    retained: bool = False
    correlation: bytes | None = None
    response_topic_refused: bool = False
    reply: Reply | None = None
    device: str = ""
    command: str = ""
    request_id: str | None = None
    content: bytes = b""
    params: bytes = b""
    expires_at: float | None = None
    parts: tuple[Part, ...] = ()  #: of a group's request, in the group's order
    catch_up: bool = False

    def __repr__(self) -> str:
        return f"<Draft of {self.command} for {self.device}>"  # what is asked may be secret


class Request(NamedTuple):
    """One request on its way to a terminal. `tried` holds what earlier attempts meant to write.

    One that is a part of a group's has a `parent`, and shares its reply with `shares` members, itself included.
    """

    id: int
    device: str
    command: str
    request_id: str | None
    params: bytes
    accepted_at: float
    expires_at: float | None = None
    state: State = State.ACCEPTED
    tried: tuple[Any, ...] = ()
    suspect_of: int | None = None
    parent: int | None = None
    shares: int = 1
    catch_up: bool = False

    def __repr__(self) -> str:
        return f"<Request {self.id}: {self.command} for {self.device}, {self.state}>"  # what is asked may be secret


class Waiting(NamedTuple):
    """A member's request that waits for its terminal; `subject` is what it touches there (see `Params.key`)."""

    request: Request
    subject: str


class Parked(NamedTuple):
    """A member's request that is to wait; `reply` is what the group's reply says of it meanwhile."""

    request: int
    subject: str
    reply: Reply


class Answer(NamedTuple):
    """One reply that is owed to one topic."""

    id: int
    topic: str
    fallback: str
    body: bytes
    status: int
    code: str
    correlation: bytes | None = None


class Verdict(enum.Enum):
    """What became of a draft."""

    NEW = "new"  #: kept, to be worked on
    ANSWERED = "answered"  #: its answer is kept and owed
    UNDER_WAY = "under way"  #: a copy of a request that is being worked on; it will be answered with it
    KNOWN = "known"  #: a redelivery of a message that is kept already, or a retained one seen before


class Kept(NamedTuple):
    """A draft's verdict, with the request if it is new, and the requests of its members if it is a group's."""

    verdict: Verdict
    request: Request | None = None
    parts: tuple[Request, ...] = ()
    reply: Reply | None = None
    request_id: str | None = None
    replayed: bool = False  #: the reply is the stored one of an earlier request


class Finish(NamedTuple):
    """A request's end. `replayed` marks the stored reply of an earlier request being given again."""

    request: Request
    reply: Reply
    replayed: bool = False


class Trace(NamedTuple):
    """What is kept of a punch that was told: digests of its time and of all of it, and which of equal ones it is."""

    moment: bytes
    key: bytes
    ordinal: int


@dataclass(frozen=True)
class Place:
    """How far the log of a terminal was told: its serial number, its count of punches, the last ones' traces."""

    serial: str
    count: int
    traces: tuple[Trace, ...] = ()


class Telling(NamedTuple):
    """One punch that is owed to the broker."""

    id: int
    device: str
    body: bytes


class Ended(NamedTuple):
    """A request that was answered together with another one, and its reply."""

    request: Request
    reply: Reply


class Finished(NamedTuple):
    """The groups' requests that were answered together with their parts, and every answer that is owed now.

    The answers are the caller's to send: `Ledger.owed` leaves them out until `Ledger.release` is told of them.
    """

    groups: list[Ended]
    answers: list[Answer]


class _Address(NamedTuple):
    """The message behind an answer, and where the answer goes; in the order of `answers` and of `arrivals`."""

    digest: bytes
    connection: int
    mid: int
    topic: str
    fallback: str
    correlation: bytes | None
    refused: bool = False

    @classmethod
    def of(cls, draft: Draft) -> _Address:
        """That of a message."""
        return cls(
            draft.digest,
            draft.connection,
            draft.mid,
            draft.topic,
            draft.fallback,
            draft.correlation,
            draft.response_topic_refused,
        )


class _Job:
    """One thread's part of a transaction; `single` if one statement of it changes something at most: that is atomic."""

    def __init__(self, work: Callable[[sqlite3.Connection], Any], *, urgent: bool, single: bool) -> None:
        self.work = work
        self.urgent = urgent
        self.single = single
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Ledger:
    """The file `ledger.db` in the state directory, mode 0600, for one daemon at a time.

    `readings` are the commands that only read: their answers are forgotten once the broker has confirmed them.
    Raises LedgerInUse, LedgerTooNew, LedgerUnavailable; a damaged file is kept aside and a new one begun.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        combine: Combine = together,
        readings: Iterable[str] = (),
    ) -> None:
        self.path = folder / "ledger.db"
        self._folder = folder
        self._clock = clock
        self._combine = combine
        self._readings = tuple(readings)
        #: Called when the disk has no room for something, from any thread and while the ledger is held.
        self.when_full: Callable[[], None] = lambda: None
        self._jobs: list[_Job] = []
        self._jobs_lock = threading.Lock()
        self._lock = threading.RLock()
        # By a run that was killed before it could empty the write-ahead log.
        self._secrets_freed = self._parked_freed = True
        self.commits = self.syncs = 0
        self._waits_for_disk = True
        self._handed_out: set[int] = set()
        self._paid: set[str] = set()
        self._prepare_folder()
        self._guard = self._take_guard()
        self._db = self._open()
        self._key = self._load_key()
        self._connection = int(self._fact("ledger", "connection") or 0)
        self._last_request = int(self._read("SELECT coalesce(max(id), 0) FROM requests")[0][0])
        self._in_use = self._used_before = self._last_connection_in_use()
        self.scrub()

    # -- messages in ---------------------------------------------------------------------------------------------

    def digest(self, *parts: bytes | str | None) -> bytes:
        """A keyed digest: equal for equal parts, and of no use to whoever has only the ledger's file."""
        text = b"".join(b"-" if part is None else b"+%d:%s" % (len(raw := _raw(part)), raw) for part in parts)
        return hmac.digest(self._key, text, hashlib.sha256)

    def next_connection(self) -> int:
        """The number of a new connection to the broker; it never repeats."""

        def work(db: sqlite3.Connection) -> int:
            self._connection += 1
            db.execute(_PUT_FACT, ("ledger", "connection", str(self._connection)))
            return self._connection

        return self._write(work)

    def keep(
        self,
        drafts: Iterable[Draft],
        *,
        admit: Callable[[Draft], Reply | None],
        reused: Callable[[Draft], Reply],
    ) -> list[Kept]:
        """Keep every draft, in order, in one transaction. Raises LedgerUnavailable, and then nothing is kept.

        `admit` is asked for each request that is new and may answer instead (expired, busy): for a group's first as
        a whole, then for each member. `reused` makes the answer for a request_id that was used with other content.
        """
        wanted = list(drafts)
        lone = len(wanted) == 1 and not (wanted[0].retained or wanted[0].parts)
        return self._write(lambda db: [self._keep_one(db, draft, admit, reused) for draft in wanted], single=lone)

    def _keep_one(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        admit: Callable[[Draft], Reply | None],
        reused: Callable[[Draft], Reply],
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
            return self._join(db, draft, copy, reused)
        if (refusal := admit(draft)) is not None:
            return self._answer(db, draft, refusal)
        return self._take_on(db, draft, copy, admit)

    def _take_on(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        copy: sqlite3.Row | None,
        admit: Callable[[Draft], Reply | None],
    ) -> Kept:
        if copy is not None:
            with repeats.all_or_nothing(db):
                return self._take_on_again(db, draft, copy, admit)
        suspect = _suspect_of(db, draft)
        if draft.parts:
            return self._split(db, draft, suspect, admit)
        return Kept(Verdict.NEW, self._insert(db, draft, _Address.of(draft), suspect_of=suspect))

    def _take_on_again(
        self, db: sqlite3.Connection, draft: Draft, row: sqlite3.Row, admit: Callable[[Draft], Reply | None]
    ) -> Kept:
        """A request of its own, which has the request_id from now on: what was answered stays answered."""
        repeats.free_request_id(db, row["id"])
        if draft.parts:
            earlier = repeats.parts_of(db, row["id"], [part.device for part in draft.parts])
            if not earlier or row["reply"] == repeats.FORGOTTEN:
                return self._split(db, draft, None, admit)
            return self._split_again(db, draft, earlier, admit)
        request = self._insert(db, draft, _Address.of(draft), suspect_of=None)
        return Kept(Verdict.NEW, _carry_on(db, request, row["tried"]))

    def _split_again(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        earlier: list[repeats.Part],
        admit: Callable[[Draft], Reply | None],
    ) -> Kept:
        """A group's request anew: what failed and may be carried out again is asked, the rest is as it was."""
        whole = self._insert(db, draft, _Address.of(draft), suspect_of=None, state=State.SPLIT)
        wanted = {part.device: part for part in draft.parts}
        parts = []
        for place, old in enumerate(earlier):
            if not old.anew:
                repeats.move(db, old.id, whole.id, place)
                continue
            request = self._insert_part(db, draft, wanted[old.device], whole, admit)
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

    def _join(self, db: sqlite3.Connection, draft: Draft, row: sqlite3.Row, reused: Callable[[Draft], Reply]) -> Kept:
        """A copy of a request: it waits for the same answer, or gets the stored one."""
        if _is_other(draft, row):
            return self._answer(db, draft, reused(draft))
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
        address: _Address | None,
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
                *(address or (None,) * len(_Address._fields)),
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

    def _split(
        self, db: sqlite3.Connection, draft: Draft, suspect: int | None, admit: Callable[[Draft], Reply | None]
    ) -> Kept:
        """A group's request, and one for each member; where no member can take it on, it is answered at once."""
        whole = self._insert(db, draft, _Address.of(draft), suspect_of=suspect, state=State.SPLIT)
        parts = []
        for part in draft.parts:
            earlier = _part_of(db, suspect, part.device)
            request = self._insert_part(db, draft, part, whole, admit, suspect_of=earlier)
            if request.state is not State.DONE:
                parts.append(request._replace(shares=len(draft.parts)))
        return self._begun(db, draft, whole, parts)

    def _insert_part(
        self,
        db: sqlite3.Connection,
        draft: Draft,
        part: Part,
        whole: Request,
        admit: Callable[[Draft], Reply | None],
        *,
        suspect_of: int | None = None,
    ) -> Request:
        """One member's part of a group's request; done at once if the member cannot take it on."""
        own = draft._replace(device=part.device, parts=())
        reply = part.reply or admit(own)
        state = State.ACCEPTED if reply is None else State.DONE
        # It answers for itself if the group has answered before it; no message of its own stands behind that.
        late = reply is None and draft.catch_up
        address = _Address(b"", 0, 0, part.topic, part.topic, draft.correlation) if late else None
        return self._insert(db, own, address, suspect_of=suspect_of, parent=whole.id, state=state, reply=reply)

    def _begun(self, db: sqlite3.Connection, draft: Draft, whole: Request, parts: list[Request]) -> Kept:
        """What became of a group's request of which these parts are to be worked on."""
        if parts:
            return Kept(Verdict.NEW, request=whole, parts=tuple(parts))
        for ended in self._complete(db, [whole.id]):
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
                *_Address.of(draft),
                replayed,
                self._clock(),
                owed,
                *stored,
            ),
        )

    # -- work ----------------------------------------------------------------------------------------------------

    def unfinished(self) -> list[Request]:
        """Every request that has no answer yet, oldest first: what a crash or a stop left. Not what is waiting."""
        rows = self._read(f"{_REQUESTS} WHERE r.state IN ('accepted', 'running') ORDER BY r.id")
        return [_request(row) for row in rows]

    def running(self, intents: Iterable[tuple[int, object]]) -> None:
        """Note, before the terminal is asked, what each request is about to change."""
        wanted = [(json.dumps(intent), request) for request, intent in intents]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "UPDATE requests SET state = 'running', tried = json_insert(tried, '$[#]', json(?)) WHERE id = ?",
                wanted,
            )

        self._write(work, single=len(wanted) == 1)

    def finish(
        self, finishes: Iterable[Finish], *, parked: Iterable[Parked] = (), owed_by: str | None = None
    ) -> Finished:
        """Keep the replies of finished requests and forget what was asked, all in one transaction.

        `parked` are requests that wait for their terminal from now on; what was asked by them is kept.
        `owed_by` names a device that may still be disabled: that is kept in the same transaction.
        """
        wanted, waiting = list(finishes), list(parked)

        def work(db: sqlite3.Connection) -> Finished:
            now = self._clock()
            groups = [self._finish_one(db, finish, now, owed_by) for finish in wanted]
            groups += [_park(db, each) for each in waiting]
            if owed_by is not None:
                self._paid.discard(owed_by)
                if not wanted:
                    db.execute("INSERT OR IGNORE INTO debts VALUES (?, ?)", (owed_by, now))
            ended = self._complete(db, groups)
            return Finished(
                ended, self._hand_out(db, [*(f.request.id for f in wanted), *(e.request.id for e in ended)])
            )

        lone = len(wanted) == 1 and not waiting and wanted[0].request.parent is None
        finished = self._write(work, single=lone)
        for each in finished.groups:
            _tell(each)
        self._secrets_freed = self._parked_freed = True
        return finished

    def _finish_one(self, db: sqlite3.Connection, finish: Finish, now: float, owed_by: str | None) -> int | None:
        """The group's request that this one is a part of, if it is."""
        reply, replayed = finish.reply, finish.replayed
        parent = None if finish.request.parent is None else _parent_of(db, finish.request.id)
        # A part's reply is told within another one, or later: what belongs to its delivery is told with it.
        body = reply.body if parent is None else flagged(reply.body, replayed=replayed)
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
                owed_by,
                reply.open_effect == "unknown",
            ),
        )
        return parent

    def _complete(self, db: sqlite3.Connection, groups: Iterable[int | None]) -> list[Ended]:
        """Answer each group's request of which no part is under way any more; those that this has ended.

        None stands for what is no part of a group's.
        One that was answered already, while a member was waiting, is told anew to whoever asks for it again.
        """
        now, ended = self._clock(), []
        for group in dict.fromkeys(groups):
            if group is None:
                continue
            (whole,) = db.execute(f"{_REQUESTS} WHERE r.id = ?", (group,)).fetchall()
            is_new = whole["state"] == State.SPLIT
            parts = db.execute(
                "SELECT r.device, r.status, r.code, coalesce(r.reply, p.reply) AS reply, r.reply IS NOT NULL AS ended,"
                " r.state, r.id < r.parent AND r.done_at < g.accepted_at AS replayed"
                " FROM requests r JOIN requests g ON g.id = r.parent LEFT JOIN parked p ON p.request = r.id"
                " WHERE r.parent = ? ORDER BY coalesce(r.place, r.id)",
                (group,),
            ).fetchall()
            if is_new and not all(part["ended"] or part["state"] == State.WAITING for part in parts):
                continue
            reply = self._combine(whole["device"], [_said(part) for part in parts], request_id=whole["request_id"])
            db.execute(
                "UPDATE requests SET status = ?, code = ?, reply = ? WHERE id = ?",
                (reply.status, reply.code, reply.body, group),
            )
            if is_new:
                db.execute("UPDATE requests SET state = 'done', done_at = ? WHERE id = ?", (now, group))
                db.execute("UPDATE answers SET owed = 1 WHERE request = ? AND sent_at IS NULL", (group,))
                ended.append(Ended(_request(whole), reply))
        return ended

    # -- what waits for a terminal -------------------------------------------------------------------------------

    def waiting(self, device: str | None = None) -> list[Waiting]:
        """What waits for a device, or for any, oldest first; without what was asked."""
        rows = self._read(
            f"{_REQUESTS} WHERE r.state = 'waiting' AND (r.device = ?1 OR ?1 IS NULL) ORDER BY r.id", device
        )
        return [Waiting(_request(row)._replace(params=b""), row["subject"]) for row in rows]

    def take_up(self, device: str, *, subject: str | None = None, most: int = 1000) -> list[Request]:
        """What has waited for a device, or for one thing on it, and is still good: it is under way from now on."""

        def work(db: sqlite3.Connection) -> list[Request]:
            rows = db.execute(
                f"{_REQUESTS} WHERE r.state = 'waiting' AND r.device = ?1 AND (p.subject = ?2 OR ?2 IS NULL)"
                " AND r.expires_at > ?3 ORDER BY r.id LIMIT ?4",
                (device, subject, self._clock(), most),
            ).fetchall()
            db.executemany(
                "UPDATE requests SET state = CASE tried WHEN '[]' THEN 'accepted' ELSE 'running' END WHERE id = ?",
                [(row["id"],) for row in rows],
            )
            return [_request(row) for row in rows]

        return self._write(work, urgent=False)

    def expire(self, answer: Callable[[Request], Reply]) -> list[Ended]:
        """Answer what has waited for too long; those requests, and the groups' that are answered with them."""

        def work(db: sqlite3.Connection) -> list[Ended]:
            now = self._clock()
            rows = db.execute(f"{_REQUESTS} WHERE r.state = 'waiting' AND r.expires_at <= ?", (now,)).fetchall()
            late = [Ended(request, answer(request)) for request in map(_request, rows)]
            groups = [self._finish_one(db, Finish(each.request, each.reply), now, None) for each in late]
            return late + self._complete(db, groups)

        ended = self._write(work)
        for each in ended:
            _tell(each)
        if ended:
            self._secrets_freed = self._parked_freed = True
        return ended

    def reply_of(self, request: int) -> Reply | None:
        """The stored reply of a request, if it has one and is still remembered."""
        rows = self._read("SELECT status, code, reply FROM requests WHERE id = ? AND reply IS NOT NULL", request)
        return Reply(rows[0]["status"], rows[0]["code"], rows[0]["reply"]) if rows else None

    # -- replies out ---------------------------------------------------------------------------------------------

    def owed(self, limit: int) -> list[Answer]:
        """Answers that the broker has not confirmed, oldest first, save those that somebody has in hand."""
        rows = self._read(f"{_OWED} ORDER BY a.id LIMIT ?", limit + len(self._handed_out))
        return [_answer(row) for row in rows if row["id"] not in self._handed_out][:limit]

    def _hand_out(self, db: sqlite3.Connection, requests: list[int]) -> list[Answer]:
        """The answers to these requests that are owed."""
        rows = db.execute(
            f"{_OWED} AND a.request IN (SELECT value FROM json_each(?)) ORDER BY a.id",  # noqa: S608 - a constant
            (json.dumps(requests),),
        )
        answers = [_answer(row) for row in rows]
        self._handed_out.update(answer.id for answer in answers)
        return answers

    def release(self, answers: Iterable[Answer]) -> None:
        """Somebody had these in hand, and knows by now what is to become of them."""
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
            self._write_paid(db)

        self._write(work, urgent=False)
        self._secrets_freed = self._secrets_freed or bool(self._readings)  # what was read may be in the write-ahead log

    def redirect(self, answer: int) -> None:
        """Send this answer to its fallback topic: the broker refuses the one that the caller asked for."""
        self._write_one("UPDATE answers SET topic = fallback WHERE id = ?", answer)

    # -- punches out -----------------------------------------------------------------------------------------------

    def place(self, device: str) -> Place | None:
        """How far a terminal's log was told; None if it never was."""
        rows = self._read("SELECT serial, count FROM places WHERE device = ?", device)
        if not rows:
            return None
        traces = self._read("SELECT moment, key, ordinal FROM traces WHERE device = ? ORDER BY number", device)
        return Place(rows[0]["serial"], rows[0]["count"], tuple(Trace(*row) for row in traces))

    def tell(self, device: str, bodies: Iterable[bytes], place: Place, *, most_traces: int, anew: bool = False) -> None:
        """Keep punches that are to be told, in order, and how far that is, in one transaction.

        Of `place` the traces are those of these punches; so many of a terminal are kept, or none of the earlier ones
        where it begins `anew`.
        """
        wanted = [(device, body) for body in bodies]

        def work(db: sqlite3.Connection) -> None:
            if anew:
                db.execute("DELETE FROM traces WHERE device = ?", (device,))
            db.executemany("INSERT INTO punches (device, body) VALUES (?, ?)", wanted)
            db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (device, place.serial, place.count))
            last = db.execute("SELECT coalesce(max(number), 0) FROM traces WHERE device = ?", (device,)).fetchone()[0]
            db.executemany(
                "INSERT INTO traces VALUES (?, ?, ?, ?, ?)",
                [(device, last + n, t.moment, t.key, t.ordinal) for n, t in enumerate(place.traces, 1)],
            )
            line = last + len(place.traces) - most_traces
            db.execute("DELETE FROM traces WHERE device = ? AND number <= ?", (device, line))

        self._write(work)

    def to_tell(self, limit: int, *, after: int = 0, less: Collection[str] = ()) -> list[Telling]:
        """Punches that the broker has not confirmed, oldest first, less those of some devices."""
        others = f"AND device NOT IN ({', '.join('?' * len(less))})" if less else ""
        # Nothing but question marks is put into the statement.
        query = f"SELECT id, device, body FROM punches WHERE id > ? {others} ORDER BY id LIMIT ?"  # noqa: S608
        rows = self._read(query, after, *less, limit)
        return [Telling(*row) for row in rows]

    def told(self, punches: Iterable[int]) -> None:
        """The broker has confirmed these: they are forgotten. After a power cut they may be told once more."""
        wanted = [(punch,) for punch in punches]
        self._write(lambda db: _ignore(db.executemany("DELETE FROM punches WHERE id = ?", wanted)), urgent=False)
        self._secrets_freed = True  # none, but nothing of them is to stay for ever in the write-ahead log

    def untold(self) -> int:
        """How many punches wait for the broker, at most."""
        first, last = self._read("SELECT min(id), max(id) FROM punches")[0]
        return 0 if first is None else int(last) - int(first) + 1

    # -- what is remembered of terminals and brokers -----------------------------------------------------------------

    def debts(self) -> set[str]:
        """Devices that may still be disabled."""
        return {row[0] for row in self._read("SELECT device FROM debts")} - self._paid

    def paid(self, device: str) -> None:
        """The device is enabled again. That is written with the next answers sent; after a crash it is done again."""
        self._paid.add(device)

    def _write_paid(self, db: sqlite3.Connection) -> None:
        """If this cannot be kept, the debts stay: to enable once more does no harm."""
        paid = []
        while self._paid:  # one by one: a worker may add another meanwhile
            paid.append(self._paid.pop())
        if paid:
            db.execute("DELETE FROM debts WHERE device IN (SELECT value FROM json_each(?))", (json.dumps(paid),))

    def recall(self, subject: str, name: str) -> str | None:
        """A remembered fact, such as a terminal's record size."""
        return self._fact(subject, name)

    def remember(self, subject: str, name: str, value: str) -> None:
        """Keep a fact until it is replaced."""
        self._write_one(_PUT_FACT, subject, name, value)

    def books(self) -> Books:
        """How much there is, and what waits for a terminal or for the broker."""
        now = self._clock()
        unfinished, oldest_unfinished = self._read(
            "SELECT count(*), min(accepted_at) FROM requests WHERE state IN ('accepted', 'running')"
        )[0]
        owed = self._read("SELECT count(*) FROM answers WHERE owed = 1")[0][0]
        oldest = self._read(
            "SELECT coalesce(r.done_at, a.made_at) FROM answers a LEFT JOIN requests r ON r.id = a.request"
            " WHERE a.owed = 1 ORDER BY a.id LIMIT 1"
        )
        return Books(
            size=sum(_size(Path(f"{self.path}{suffix}")) for suffix in ("", "-wal")),
            unfinished=unfinished,
            oldest_unfinished_s=max(0.0, now - oldest_unfinished) if unfinished else 0.0,
            owed=owed,
            oldest_owed_s=max(0.0, now - oldest[0][0]) if oldest else 0.0,
        )

    # -- upkeep --------------------------------------------------------------------------------------------------

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

        return self._write(work)

    def scrub(self) -> None:
        """Leave no password of a finished request in the file, nor in its write-ahead log.

        SQLite's secure_delete wipes a row where it stood last, not where it stood before its page was rearranged.
        So what is still asked is written anew onto pages that were wiped whole.
        """
        if self._paid:
            with contextlib.suppress(LedgerUnavailable):  # see `_write_paid`
                self._write(self._write_paid, urgent=False, single=True)
        if not self._secrets_freed:
            return
        parked_freed = self._parked_freed
        self._secrets_freed = self._parked_freed = False
        try:
            rewritten = self._write(lambda db: _rewrite(db, "asked", REWRITTEN_AT_MOST), urgent=False)
            if parked_freed:
                parked_freed = not self._write(
                    lambda db: _rewrite(db, "parked", PARKED_REWRITTEN_AT_MOST), urgent=False
                )
            with self._lock:
                busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            # The first commit to an emptied log waits for the disk once more, for the log's head: better nobody's.
            self._write_one(_PUT_FACT, "ledger", "scrubbed", str(self._clock()), urgent=False)
        except (LedgerUnavailable, sqlite3.Error):
            rewritten, busy = False, True  # tried again with the next request
        self._parked_freed = self._parked_freed or parked_freed
        self._secrets_freed = self._secrets_freed or bool(busy) or not rewritten

    def maintain(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have the ledger's own upkeep done in a transaction; no disk is waited for. Raises LedgerUnavailable."""
        return self._write(work, urgent=False)

    def inspect(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Look at what is committed, while nothing is being written. Raises LedgerUnavailable."""
        try:
            with self._lock:
                return look(self._db)
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"{self.path}: {error}") from error

    def rebuild(self, *, aside: bool) -> None:
        """Write all of it to a new file in place of what is there now, which is kept `aside` or dropped.

        For a file that was removed or replaced under its name: what is open still has everything.
        Raises LedgerUnavailable while it cannot be written, and then nothing has changed.
        """
        fresh = self.path.with_name("ledger.db.new")
        with self._lock:
            try:
                fresh.unlink(missing_ok=True)
                os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                with contextlib.closing(sqlite3.connect(fresh)) as copy:
                    self._db.backup(copy)
            except (sqlite3.Error, OSError) as error:
                raise LedgerUnavailable(f"{self.path}: {error}") from error
            # From here on what goes wrong ends the bridge: the next start finds the new file, or what stood there.
            self._db.close()
            if aside:
                stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock()))
                self.path.replace(self.path.with_name(f"{self.path.name}.replaced-{stamp}"))
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            fresh.replace(self.path)
            self._db = self._connect()
            self._waits_for_disk = True

    def close(self) -> None:
        """Leave a single file behind, without a write-ahead log."""
        self.scrub()
        with self._lock:
            self._db.close()
        os.close(self._guard)

    # -- inside --------------------------------------------------------------------------------------------------

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"{self.path}: {error}") from error

    def _write(self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = True, single: bool = False) -> T:
        """Run work in a transaction; whoever gets the lock commits for all who wait by then, with one fsync.

        What is not `urgent` outlives the daemon, but not the machine, until the next commit that is: WAL keeps order.
        `single` says that the work changes something by one statement at most. Each one costs all threads several
        turns of the interpreter, so those that only begin and end a transaction are left out there.
        """
        job = _Job(work, urgent=urgent, single=single)
        with self._jobs_lock:
            self._jobs.append(job)
        with self._lock:
            if not job.done:
                self._commit_waiting()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def _write_one(self, statement: str, *values: object, urgent: bool = True) -> None:
        """One statement, as `_write` does it."""
        self._write(lambda db: _ignore(db.execute(statement, values)), urgent=urgent, single=True)

    def _commit_waiting(self) -> None:
        with self._jobs_lock:
            jobs, self._jobs = self._jobs, []
        urgent = any(job.urgent for job in jobs)
        try:
            if urgent is not self._waits_for_disk:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if urgent else 'NORMAL'}")
                self._waits_for_disk = urgent
            alone = len(jobs) == 1
            if not (alone and jobs[0].single):
                self._db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run(job, alone=alone)
            if self._db.in_transaction:
                self._db.execute("COMMIT")
            if any(job.error is None for job in jobs):
                self.commits += 1
                self.syncs += urgent
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                self.when_full()
            for job in jobs:
                job.error = LedgerUnavailable(f"{self.path}: {error}")
                job.error.__cause__ = error
        finally:
            for job in jobs:
                job.done = True

    def _run(self, job: _Job, *, alone: bool) -> None:
        """One job must not take back what its neighbours wrote."""
        guarded = not alone and not job.single
        if guarded:
            self._db.execute("SAVEPOINT job")
        try:
            job.result = job.work(self._db)
        except Exception as error:
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OF_THE_WORK):
                raise  # the disk's fault, or the file's: nobody's work can be kept
            job.error = error  # for the thread whose work it is
            if guarded:
                self._db.execute("ROLLBACK TO job")
            elif alone and self._db.in_transaction:
                self._db.execute("ROLLBACK")
        if guarded:
            self._db.execute("RELEASE job")

    def _prepare_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerUnavailable(f"{self._folder}: {error.strerror}") from error

    def _take_guard(self) -> int:
        """Hold the folder: two daemons on one ledger would both do what is unfinished."""
        try:
            guard = os.open(self._folder / "ledger.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerUnavailable(f"{self._folder}: {error.strerror}") from error
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(guard)
            raise LedgerInUse(f"{self._folder} is in use by another zkbridge") from None
        return guard

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not any(sign in str(error) for sign in _DAMAGED):
                    raise
                self._set_aside(error)
                return self._connect()
        except (sqlite3.Error, OSError) as error:
            os.close(self._guard)
            raise LedgerUnavailable(f"{self.path}: {error}") from error
        except LedgerTooNew:
            os.close(self._guard)
            raise

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            db.row_factory = sqlite3.Row
            # Small pages, for a new file: every change is written by whole pages, twice, and SD cards wear out.
            db.execute("PRAGMA page_size = 1024")
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
                db.execute(f"PRAGMA {pragma}")
            _check(db)
            _migrate(db, self.path)
            db.executescript(TRIGGERS)
            db.executemany("INSERT INTO readings VALUES (?)", [(command,) for command in self._readings])
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, error: Exception) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock()))
        kept = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{kept}{suffix}")
        log.error(
            "the ledger is damaged (%s): kept aside as %s, a new one is begun. "
            "Requests that were under way are lost to it; look at the terminals and at that file.",
            error,
            kept,
        )

    def _load_key(self) -> bytes:
        """The key of the digests, in a file of its own: the ledger's file alone gives no PIN away to a guesser."""
        path = self._folder / "ledger.key"
        with contextlib.suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == 32:
                return key
        key = secrets.token_bytes(32)
        fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fresh, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        # Digests made with a key that is gone can never match: they must not make a true copy look like another.
        self._write_one("UPDATE requests SET content = NULL")
        return key

    def _fact(self, subject: str, name: str) -> str | None:
        rows = self._read("SELECT value FROM facts WHERE subject = ? AND name = ?", subject, name)
        return str(rows[0][0]) if rows else None

    def _last_connection_in_use(self) -> int:
        return int(self._read("SELECT coalesce(max(connection), 0) FROM answers")[0][0])


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


def _size(path: Path) -> int:
    """Bytes of a file; none of one that is not there just now."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _check(db: sqlite3.Connection) -> None:
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"malformed: {verdict}")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise LedgerTooNew(f"{path} was written by a newer zkbridge (version {version} of the file)")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
    if 0 < version < len(MIGRATIONS):
        db.execute("VACUUM")  # no page of the older file is left with what it held


def _raw(part: bytes | str) -> bytes:
    return part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part


def _ignore(_: object) -> None:
    """For work whose result is of no interest."""


#: Answers that the broker has not confirmed.
_OWED = (
    "SELECT a.id, a.topic, a.fallback, a.correlation, a.refused, a.replayed, coalesce(a.reply, r.reply) AS body,"
    " coalesce(a.status, r.status) AS status, coalesce(a.code, r.code) AS code"
    " FROM answers a LEFT JOIN requests r ON r.id = a.request WHERE a.owed = 1"
)

#: Requests with what belongs to them; a part has its group's request_id.
_REQUESTS = (
    "SELECT r.id, r.device, r.command, coalesce(r.request_id, g.request_id) AS request_id, r.accepted_at, r.expires_at,"
    " r.state, r.tried, r.suspect_of, r.parent, r.catch_up, coalesce(a.params, p.params, x'') AS params, p.subject,"
    " (SELECT count(*) FROM requests s WHERE s.parent = r.parent) AS shares"
    " FROM requests r LEFT JOIN asked a ON a.request = r.id LEFT JOIN parked p ON p.request = r.id"
    " LEFT JOIN requests g ON g.id = r.parent"
)


def _request(row: sqlite3.Row) -> Request:
    return Request(
        row["id"],
        row["device"],
        row["command"],
        row["request_id"],
        row["params"],
        row["accepted_at"],
        row["expires_at"],
        State(row["state"]),
        tuple(json.loads(row["tried"])),
        row["suspect_of"],
        row["parent"],
        row["shares"] or 1,
        bool(row["catch_up"]),
    )


def _said(row: sqlite3.Row) -> Said:
    """What a member's part of the group's reply is: its own reply, or why it waits."""
    if row["ended"]:
        body = flagged(row["reply"], replayed=bool(row["replayed"]))
        return Said(row["device"], Reply(row["status"], row["code"], body))
    body = json.loads(row["reply"])
    return Said(row["device"], Reply(body["status"], body["code"], row["reply"]))


def _part_of(db: sqlite3.Connection, group: int | None, device: str) -> int | None:
    row = db.execute("SELECT id FROM requests WHERE parent = ? AND device = ?", (group, device)).fetchone()
    return None if row is None else int(row[0])


def _parent_of(db: sqlite3.Connection, request: int) -> int | None:
    """The group's request that this one is a part of, if it is."""
    row = db.execute("SELECT parent FROM requests WHERE id = ?", (request,)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


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


def _park(db: sqlite3.Connection, parked: Parked) -> int | None:
    """What is asked moves to what waits; where it has waited before, it is there already. Its group's request."""
    db.execute(
        "INSERT OR IGNORE INTO parked SELECT request, ?, params, ? FROM asked WHERE request = ?",
        (parked.subject, parked.reply.body, parked.request),
    )
    db.execute("DELETE FROM asked WHERE request = ?", (parked.request,))
    db.execute("UPDATE parked SET reply = ? WHERE request = ?", (parked.reply.body, parked.request))
    db.execute("UPDATE requests SET state = 'waiting' WHERE id = ? AND reply IS NULL", (parked.request,))
    return _parent_of(db, parked.request)


def _tell(ended: Ended) -> None:
    request, reply = ended.request, ended.reply
    log.log(
        logging.INFO if reply.success else logging.WARNING,
        "answered request=%d device=%s command=%s request_id=%s status=%d code=%s",
        request.id,
        request.device,
        request.command,
        request.request_id,
        reply.status,
        reply.code,
    )


def _answer(row: sqlite3.Row) -> Answer:
    body = flagged(row["body"], replayed=bool(row["replayed"]), response_topic_refused=bool(row["refused"]))
    return Answer(row["id"], row["topic"], row["fallback"], body, row["status"], row["code"], row["correlation"])
