"""Punches of one terminal as they happen, while its worker has no request; and from its log, what nobody heard."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from zkbridge.attendance.bookmark import COMPARED, REMEMBERED, Bookmark, identity, moment_of
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import ConnectionFailure, DeviceAuthFailed, DeviceRejected, TerminalError
from zkbridge.contract.messages import encode
from zkbridge.ledger.ledger import Ledger, LedgerUnavailable, Place, Trace
from zkbridge.terminal.line import Line
from zkbridge.terminal.protocol.client import GivenUp
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.sizes import Sizes
from zkbridge.terminal.protocol.waker import Waker
from zkbridge.terminal.records.punches import Punch
from zkbridge.terminal.records.users import User, UserTable
from zkbridge.terminal.session import Known, Session, open_session

log = logging.getLogger(__name__)

#: After so much silence the terminal is asked how many punches it holds; with the time for its answer, a connection
#: that died without a word is noticed within 30 seconds.
QUIET_S = 10.0
#: And so often it is asked although it speaks: some may tell of one punch and not of the next.
TRUSTED_S = 60.0
#: The most that an answer may take while nobody waits for it.
ANSWER_S = 15.0
#: How often is looked whether somebody else wants the terminal, and how long that one is given to take it.
LOOK_S, ROOM_S = 1.0, 0.3
#: Events that the terminal counts and has not told yet are waited for so long.
GRACE_S = 0.5
#: Reading a whole log may take so long: a thousand punches a second, and a hundred thousand fit.
LOG_S = 300.0
#: The most that anything but reading the log takes, the terminal's own time for answers aside.
STEP_S = 120.0
#: A log so short is read on every new connection: cleared and filled again it may count the same.
SHORT_LOG = 200
#: So often reading the log makes way for a request; then the request waits.
MAKES_WAY = 3
#: So often a log that the terminal does not show, or not whole, is asked for; and then again after so many seconds.
REFUSALS = 5
READ_AGAIN_S = 600.0
#: Events taken at once, and punches from the log that are kept with one commit.
BATCH = 200
#: After so many events without an end the log is read instead.
MOST_EVENTS = 2000
#: Pauses after failures, in seconds: the first, doubling up to the most; a connection that lived long begins anew.
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONG_LIFE_S = 1.0, 30.0, 60.0
#: What the users are called is asked again after so long, and for somebody unknown after so little.
NAMES_S, STRANGER_S = 3600.0, 30.0
#: Until there is room on disk for more punches, or the disk works again.
DISK_PAUSE_S = 5.0
#: However many requests wait, so often what the terminal told meanwhile is kept.
HUNGRY_S = 5.0


_Key = tuple[str, str | None, int, int]


class Listener:
    """Keeps each punch of a device to be told, once and in order. `line` is what it shares with the requests.

    `listen` runs in the worker's thread; `interrupt` may be called from any. `told` is called when punches were
    kept, `available` with None (the device answers) or a reason.
    """

    def __init__(
        self,
        device: Device,
        config: Config,
        ledger: Ledger,
        *,
        told: Callable[[], None],
        available: Callable[[str, str | None], None],
    ) -> None:
        self.line = Line(device, lock_dir=config.lock_dir)
        self._device = device
        self._config = config
        self._ledger = ledger
        self._told = told
        self._available = available
        self._lock = threading.Lock()
        self._waker: Waker | None = None
        self._due: float | None = None
        self._closing = False
        self._briefly = False
        self._listened_at = 0.0
        self._not_before = 0.0
        self._failures = 0
        self._refusals = 0
        self._made_way = 0
        self._heeds = Counter[str]()
        # Of the connection in use:
        self._number = 0
        self._began = 0.0
        self._checked = 0.0
        self._table: UserTable | None = None
        self._table_read = float("-inf")
        # Of the terminal; None is not known yet, or not as it stands on disk.
        self._bookmark: Bookmark | None = None
        # The terminal's count less the place, where its log cannot be read.
        self._off_by = 0
        self._read_again_at = 0.0

    # -- for other threads -----------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """End `listen` soon."""
        with self._lock:
            if self._waker is not None:
                self._waker.wake()

    def stop(self) -> None:
        """End `listen` soon, whatever it does, and for good."""
        self._closing = True
        self.interrupt()

    def overdue(self) -> bool:
        """Whether the terminal has been listened to for longer than any step of it can take."""
        due = self._due
        return due is not None and time.monotonic() > due

    # -- for the worker's thread -------------------------------------------------------------------------------------

    def listen(self, wanted: Callable[[], bool]) -> None:
        """Keep punches until interrupted, or until something fails; raises only what is a fault of our own.

        `wanted` says whether something else is to be done: it is asked once an interruption is heeded. Then only what
        was told already is kept, and that not often.
        """
        with Waker() as waker:
            self._briefly = wanted()
            with self._lock:
                self._waker = None if self._briefly else waker
            try:
                if not self._closing and (self.is_hungry() or not wanted()):
                    self._listen(waker)
            finally:
                self._due = None
                self._listened_at = time.monotonic()
                with self._lock:
                    self._waker = None

    def is_hungry(self) -> bool:
        """Whether the terminal may have told much while requests kept us from hearing it."""
        return self.line.is_open and time.monotonic() - self._listened_at > HUNGRY_S

    def forget_names(self) -> None:
        """Somebody's name may have changed."""
        self._table, self._table_read = None, float("-inf")

    def close(self) -> None:
        """Give the terminal back."""
        self.line.drop()

    # -- a connection ------------------------------------------------------------------------------------------------

    def _listen(self, waker: Waker) -> None:
        if not self.line.is_open and waker.wait(max(0.0, self._not_before - time.monotonic())):
            return
        try:
            if self._has_no_room():
                self._say_once("room", "its punches stay in its log for now: as many as may wait for the broker do so")
                self.line.drop()
                waker.wait(DISK_PAUSE_S)
                return
            self._hold(waker)
        except GivenUp:
            self._made_way += 1
            self._make_room(waker)
        except TerminalError as failure:
            self._note_failure(failure)
        except LedgerUnavailable as failure:
            log.error("device=%s punches cannot be kept now: %s", self._device.id, failure)  # noqa: TRY400 - the sentence says it all
            self._bookmark = None
            self.line.drop()
            self._pause(DISK_PAUSE_S)
        else:
            self._make_room(waker)

    def _make_room(self, waker: Waker) -> None:
        """Give somebody else who wants the terminal the time to take it."""
        if self.line.wanted():
            self.line.drop()
        if not self.line.is_open:
            waker.wait(ROOM_S)

    def _hold(self, waker: Waker) -> None:
        self._watch()
        with open_session(
            self._device,
            deadline=Deadline.after(min(self._config.retry.deadline, max(self._device.timeout, ANSWER_S))),
            known=Known(),
            disable_for=None,
            lock_dir=self._config.lock_dir,
            line=self.line,
            waiting=self._stay,
        ) as session:
            self._available(self._device.id, None)
            if self._table is not None:
                session.trust(self._table)
            self._begin(session, waker)
            while not (self._briefly or waker.woken or self.line.wanted() or self._has_no_room()):
                self._watch()
                self._step(session, waker)

    def _stay(self) -> None:
        """Raise GivenUp when we are to end: the lock need not be waited for any more."""
        if self._closing:
            raise GivenUp

    def _begin(self, session: Session, waker: Waker) -> None:
        """Have punches told, and find out what was missed: by the log on a new connection, else if the count says so.

        Asked anew after every request, for an enrolment ends the telling.
        """
        fresh = self.line.number != self._number
        try:
            session.listen()
        except DeviceRejected as refusal:
            self._say_once("refusal", f"{refusal}: punches are fetched from its log instead")
        if not fresh and self._bookmark is not None:
            self._settle(session, waker, [], 0)
            return
        self._began = time.monotonic()
        self._forget_connection()
        self._arrive(session, waker)
        self._number = self.line.number

    def _forget_connection(self) -> None:
        self.forget_names()
        self._off_by = 0

    def _arrive(self, session: Session, waker: Waker) -> None:
        """What a new connection begins with: whose log it is, and what in it nobody heard."""
        serial = session.option("~SerialNumber") or ""  # some do not say, or not just now: that makes it no other
        place = self._ledger.place(self._device.id)
        if place is None or (serial and place.serial and serial != place.serial):
            self._start_anew(session, serial, known=place is not None)
            return
        self._bookmark = Bookmark(replace(place, serial=serial or place.serial), self._ledger.digest)
        sizes = self._sizes(session)
        count = sizes.records
        if count is None or _is_full(sizes) or count != place.count or count <= SHORT_LOG:
            self._catch_up(session, waker, [])

    def _start_anew(self, session: Session, serial: str, *, known: bool) -> None:
        """The first time nothing is told but what comes after: nobody wants the punches of years at once."""
        sizes = self._sizes(session)
        count = sizes.records
        if count is None:
            session.extend(Deadline.after(LOG_S))
            count = len(session.attendance())
        place = Place(serial, count)
        self._ledger.tell(self._device.id, [], place, most_traces=REMEMBERED, anew=True)
        self._bookmark = Bookmark(place, self._ledger.digest)
        log.info(
            "device=%s is %s: punches are told from now on, not the %d in its log",
            self._device.id,
            "another terminal" if known else "listened to for the first time",
            count,
        )

    def _step(self, session: Session, waker: Waker) -> None:
        """The next event, or a look at the terminal when it has been quiet."""
        heard = session.hear(LOOK_S, waker)
        now = time.monotonic()
        if self._off_by and now >= self._read_again_at:
            self._off_by = 0
        if heard is not None:
            self._take(session, waker, heard)
        elif not waker.woken and now - self._checked >= QUIET_S:
            self._settle(session, waker, [], 0)
        if now - self._checked >= TRUSTED_S:
            self._settle(session, waker, [], 0)
        if now - self._began >= LONG_LIFE_S:
            self._failures = 0

    # -- events ------------------------------------------------------------------------------------------------------

    def _take(self, session: Session, waker: Waker, heard: list[Punch]) -> None:
        """Everything that has been told by now; it is acknowledged once it is kept."""
        punches, events = list(heard), 1
        while events < BATCH and (more := session.hear(0, waker)) is not None:
            punches += more
            events += 1
        if self._is_in_doubt(punches):
            self._settle(session, waker, punches, events)
            return
        self._tell(session, [(punch, False) for punch in punches], count=self._book.place.count + len(punches))
        _acknowledge(session, events)

    def _is_in_doubt(self, punches: Sequence[Punch]) -> bool:
        """Whether these may not be all, or not new, or not in order; then the terminal's count is asked for.

        Datagrams get lost, doubled and change places. In a stream nothing does, but an event may be told again, or
        be of a punch that was just read from the log.
        """
        if not punches:
            return False
        keys = [_key(punch) for punch in punches]
        return (
            self._device.transport == "udp"
            or len(set(keys)) < len(keys)
            or any(self._book.knows(punch) for punch in punches)
        )

    def _settle(self, session: Session, waker: Waker, punches: list[Punch], events: int) -> None:
        """Tell what was heard if the terminal counts as much, wait for what it counts more, else read its log."""
        while True:
            sizes = self._sizes(session)
            missing = None
            if sizes.records is not None and not _is_full(sizes):
                missing = sizes.records - self._off_by - self._book.place.count
            sure = self._sure(punches, missing)
            if sure is not None:
                self._tell(session, [(punch, False) for punch in sure], count=self._book.place.count + (missing or 0))
                break
            more = self._wait_for(session, waker, punches, missing or 0)
            events += more
            if not more or events > MOST_EVENTS:
                self._catch_up(session, waker, punches)
                break
            if missing == len(punches) and not self._is_in_doubt(punches):
                # There may be more by now, for people do not wait; but so far these are all, and in order.
                self._tell(session, [(punch, False) for punch in punches], count=self._book.place.count + missing)
                break
        _acknowledge(session, events)

    def _sure(self, punches: Sequence[Punch], missing: int | None) -> Sequence[Punch] | None:
        """Which of these are new, given how many the terminal counts that were not told; None where the log must say.

        `missing` is None where the terminal's count says nothing.
        """
        seen: dict[_Key, Punch] = {}
        for punch in punches:
            if not self._book.knows(punch):
                seen.setdefault(_key(punch), punch)
        fresh = list(seen.values())
        if self._is_mixed_up(fresh):
            return None
        # By the count one that is known is never new: it may be told again while it is another that makes the count.
        return fresh if missing == len(fresh) or (missing is None and len(fresh) == len(punches)) else None

    def _wait_for(self, session: Session, waker: Waker, punches: list[Punch], wanted: int) -> int:
        """Hear events until there are as many punches as wanted, or nobody speaks for a while; how many events."""
        events = 0
        while len(punches) < wanted and (more := session.hear(GRACE_S, waker)) is not None:
            punches += more
            events += 1
        return events

    def _is_mixed_up(self, punches: Sequence[Punch]) -> bool:
        """Whether datagrams may have come in another order than they were sent."""
        if self._device.transport != "udp" or len(punches) < 2:
            return False
        times = [moment_of(punch) for punch in punches]
        return any(later <= earlier for earlier, later in itertools.pairwise(times))

    # -- the log -----------------------------------------------------------------------------------------------------

    def _catch_up(self, session: Session, waker: Waker, heard: Sequence[Punch]) -> None:
        """Tell what stands in the log and was not told; what nobody heard when it happened is `late`."""
        read = self._read_new(session, waker)
        if read is None:
            fresh = [punch for punch in heard if not self._book.knows(punch)]
            self._tell(session, [(punch, False) for punch in fresh], count=self._book.place.count + len(fresh))
            self._off_by -= len(fresh)
            return
        new, total = read
        live = Counter(map(_key, heard))
        if missed := len(new) - (_common(live, new) if live else 0):
            log.info("device=%s has %d punches in its log that nobody heard", self._device.id, missed)
        for at in range(0, len(new), BATCH):
            part = []
            for punch in new[at : at + BATCH]:
                is_live = live[_key(punch)] > 0
                live[_key(punch)] -= is_live
                part.append((punch, not is_live))
            self._watch()
            self._tell(session, part, count=total - len(new) + at + len(part))
            if self._has_no_room():
                return  # the rest stands in the log, and is read again once there is room
        self._move_to(total)
        unrecorded = [punch for punch in heard if not self._book.knows(punch)]
        if unrecorded:
            self._tell(session, [(punch, False) for punch in unrecorded], count=self._book.place.count)
        self._off_by = 0

    def _read_new(self, session: Session, waker: Waker) -> tuple[Sequence[Punch], int] | None:
        """What in the log was not told, and how many records it has; None where the terminal will not show it.

        Of a long log only the end is read, if that begins with what was told last.
        """
        self._watch(LOG_S)
        session.extend(Deadline.after(LOG_S))

        def give_up() -> bool:
            wanted = self._briefly or waker.woken or self.line.wanted()
            return self._closing or (self._made_way < MAKES_WAY and wanted)

        first = self._book.place.count - COMPARED
        if first > SHORT_LOG:
            tail = session.attendance_from(first, give_up=give_up)
            if tail is not None and self._book.continues(tail):
                self._made_way = self._refusals = 0
                return tail[COMPARED:], first + len(tail)
        try:
            records = session.attendance(give_up=give_up)
            self._must_not_shrink(session, len(records))
        except DeviceRejected as refusal:
            self._bear(session, refusal)
            return None
        self._made_way = self._refusals = 0
        return self._book.new_in(records), len(records)

    def _must_not_shrink(self, session: Session, read: int) -> None:
        """Raise DeviceRejected (`log`) for a log that is shorter than it was told and may not have been cleared.

        It was cleared if the terminal, asked once more, counts as much, and once again on the next connection: a busy
        one may show less just then. Where it does not count, all of several readings must say so.
        """
        told = self._book.place.count
        if read >= told:
            return
        count = self._sizes(session).records
        if count == read and self._refusals:
            return
        if count is None and self._refusals + 1 >= REFUSALS:
            return
        detail = f"it reads as {read} punches where {told} were told"
        raise DeviceRejected("log", host=self._device.host, port=self._device.port, detail=detail)

    def _bear(self, session: Session, refusal: DeviceRejected) -> None:
        """Go on with live punches where a terminal does not show its log, again and again. Raises it until then.

        The place stays: the log is read again later, and told from there.
        """
        self._refusals += 1
        if self._refusals < REFUSALS:
            raise refusal
        count = self._sizes(session).records
        log.error("%s: what happened while nobody listened is not told", refusal)
        self._off_by = 0 if count is None else count - self._book.place.count
        self._read_again_at = time.monotonic() + READ_AGAIN_S

    # -- what is kept ------------------------------------------------------------------------------------------------

    @property
    def _book(self) -> Bookmark:
        if self._bookmark is None:
            raise LedgerUnavailable("how far the log was told is not known")  # an earlier failure to keep it
        return self._bookmark

    def _tell(self, session: Session, rows: Iterable[tuple[Punch, bool]], *, count: int) -> None:
        """Keep punches, and that the log is told up to this count, in one commit. `rows`: each, and whether late."""
        bodies: list[bytes] = []
        traces: list[Trace] = []
        for punch, late in rows:
            trace = self._book.trace(punch)
            traces.append(trace)
            if not punch.is_empty:
                bodies.append(encode(self._body(session, punch, trace.ordinal, late=late)))
        if bodies or count != self._book.place.count:
            self._move_to(count, bodies, traces)
        if bodies:
            self._told()

    def _move_to(self, count: int, bodies: Sequence[bytes] = (), traces: Sequence[Trace] = ()) -> None:
        book, self._bookmark = self._book, None  # not as on disk, if that fails
        place = Place(book.place.serial, count, tuple(traces))
        if bodies or count != book.place.count:
            self._ledger.tell(self._device.id, bodies, place, most_traces=REMEMBERED)
        book.place = place
        self._bookmark = book

    def _body(self, session: Session, punch: Punch, ordinal: int, *, late: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "user_id": punch.user_id or "",
            "name": self._name(session, punch.user_id or ""),
            "timestamp": moment_of(punch) or None,
            "status": punch.status,
            "punch": punch.punch,
            "device_id": self._device.id,
            "id": identity(self._device.id, punch, ordinal),
        }
        return body | {"late": True} if late else body

    def _name(self, session: Session, user_id: str) -> str:
        """What the terminal calls the user; empty for somebody it does not know, or while it shows no table."""
        age = time.monotonic() - self._table_read
        with suppress(DeviceRejected):
            user = self._user(user_id)
            if age > NAMES_S or (user is None and age > STRANGER_S):
                self._read_names(session)
                user = self._user(user_id)
            return "" if user is None else user.name
        return ""

    def _user(self, user_id: str) -> User | None:
        return None if self._table is None else self._table.by_user_id(user_id)

    def _read_names(self, session: Session) -> None:
        self._table_read = time.monotonic()
        session.extend(Deadline.after(self._config.retry.deadline))
        self._table = session.users(again=True)

    def _has_no_room(self) -> bool:
        """Whether no more punches are kept until the broker takes some: the terminal's log keeps them as well."""
        return self._ledger.untold() >= self._config.ledger.max_punches

    # -- time and trouble --------------------------------------------------------------------------------------------

    def _sizes(self, session: Session) -> Sizes:
        session.extend(Deadline.after(min(self._device.timeout, ANSWER_S)))
        self._checked = time.monotonic()
        return session.sizes()

    def _watch(self, seconds: float = 0.0) -> None:
        """So long the next step may take before the watchdog hears of it."""
        self._due = time.monotonic() + seconds + STEP_S + 3 * self._device.timeout

    def _note_failure(self, failure: TerminalError) -> None:
        if isinstance(failure, (ConnectionFailure, DeviceAuthFailed)):
            self._available(self._device.id, failure.sentence(self._config.language))
        else:
            log.warning("device=%s cannot be listened to: %s", self._device.id, failure)
        self.line.drop()
        self._failures += 1
        self._pause(min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_S))

    def _pause(self, seconds: float) -> None:
        self._not_before = time.monotonic() + seconds * random.uniform(0.5, 1)  # noqa: S311 - only spreads the load

    def _say_once(self, what: str, sentence: str) -> None:
        if not self._heeds[what]:
            log.warning("device=%s %s", self._device.id, sentence)
        self._heeds[what] += 1


def _key(punch: Punch) -> _Key:
    return moment_of(punch), punch.user_id, punch.status, punch.punch


def _common(heard: Counter[_Key], punches: Iterable[Punch]) -> int:
    """How many of the punches are among those that were heard, each of which counts once."""
    found = Counter(key for key in map(_key, punches) if key in heard)
    return (found & heard).total()


def _acknowledge(session: Session, events: int) -> None:
    for _ in range(events):
        session.acknowledge()


def _is_full(sizes: Sizes) -> bool:
    """Whether the log takes no more, or loses its oldest for every new one: its count stands still."""
    if sizes.records is None or not sizes.records_capacity:
        return False
    return sizes.records >= sizes.records_capacity
