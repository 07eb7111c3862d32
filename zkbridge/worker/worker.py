"""One thread a terminal: requests in order, never two at once, sharing a session."""

from __future__ import annotations

import json
import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zkbridge.attendance.listener import Listener
from zkbridge.commands import Change, Command, Context
from zkbridge.commands.presence import Presence
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import (
    BridgeError,
    ConnectionFailure,
    DeviceAuthFailed,
    DeviceRejected,
    DeviceTimeout,
    Expired,
    Internal,
    OutcomeUnknown,
    TerminalError,
)
from zkbridge.contract.groups import waiting
from zkbridge.contract.messages import Reply, encode, failed, succeeded
from zkbridge.contract.texts import say
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Finish, Parked, Request
from zkbridge.runtime.thread_pool import Job
from zkbridge.telemetry.events import Answered, Counted, Created, Failed, SessionEnded, Trouble
from zkbridge.terminal.line import Line
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Known, Session, Sizes, enable, open_session, reach
from zkbridge.worker.cancellation import Endings
from zkbridge.worker.retry import Interrupted, again
from zkbridge.worker.surroundings import Shared, WorkerHooks
from zkbridge.worker.task import Task

log = logging.getLogger(__name__)

#: How many changes are noted as running in one commit; more would stand noted but unasked if the budget ran out.
ROUND = 64
#: Seconds that a request may stand past its deadline before the watchdog is told: the closing of a session.
GRACE_S = 30.0
#: How often a table is read that people may have changed meanwhile.
TABLE_READINGS = 3
#: Bytes of a list's reply that are not rows, the request_id aside.
ENVELOPE_BYTES = 256
#: How many requests that have waited for the terminal are caught up in one conversation.
CATCH_UP = 32
#: Seconds until the next catching up after one that failed, doubling up to the most: others come first meanwhile.
CATCH_UP_AGAIN_S, CATCH_UP_AGAIN_MOST_S = 5.0, 300.0
#: Seconds between attempts to keep an answer that the disk would not take.
DISK_PAUSE_S = 1.0

Outcome = Reply | Change | None


@dataclass
class _Visit:
    """What one session did: which keys it touched, and the answers that wait for its end.

    `alone`: nothing else is taken into it.
    """

    disables: bool
    attended: bool = False
    alone: bool = False
    began: float = field(default_factory=time.monotonic)
    asked: int = 0
    touched: set[str] = field(default_factory=set)
    written: list[tuple[Task, Change, dict[str, Any]]] = field(default_factory=list)
    count_before: int | None = None


class Worker:
    """The requests of one device. `submit` hands them over; a pool's thread runs while there is something to do.

    `pending_enable`: an earlier run may have left the terminal disabled. With a `listener` the thread stays, and
    listens for punches whenever nothing else is to be done.
    """

    def __init__(
        self,
        device: Device,
        config: Config,
        ledger: Ledger,
        commands: dict[str, Command],
        *,
        hooks: WorkerHooks,
        shared: Shared | None = None,
        pending_enable: bool = False,
        listener: Listener | None = None,
    ) -> None:
        shared = shared or Shared()
        self.device = device
        self._listener = listener
        self._clock = shared.clock
        self._config = config
        self._ledger = ledger
        self._commands = commands
        self._hooks = hooks
        self._failed_probes = 0
        self._tell = shared.events
        self._reply_room = shared.reply_room or (lambda: config.mqtt.max_reply)
        self._pending_enable = pending_enable
        self._pool = shared.pool
        self._failure_gate = shared.failure_gate
        self._queue: deque[Request] = deque()
        self._arrived: dict[int, float] = {}
        self._in_hand: list[Task] = []
        self._aside: list[Task] = []
        self._endings = Endings(
            device,
            commands,
            succeeded=self._succeeded,
            failed=self._failed,
            make=self._task,
            reply_of=self._reply_of,
        )
        self._probe_wanted = False
        self._lock = threading.RLock()
        self._job: Job | None = None
        self._stop = threading.Event()
        self._known = self._recall()
        #: What waits for the terminal, and what it is about: as far as is known here, for the ledger may let it expire.
        self._parked = {each.request.id: each.subject for each in ledger.waiting(device.id)}
        self._reached = False
        self._catch_up_at = 0.0
        self._catch_ups_failed = 0
        self._due: Deadline | None = None

    # -- handing over --------------------------------------------------------------------------------------------

    def submit(self, requests: Iterable[Request], *, resumed: bool = False) -> None:
        """Take requests that are kept; they are answered in this order. `resumed`: an earlier run has kept them."""
        requests = list(requests)
        with self._lock:
            if not resumed:
                self._arrived.update(dict.fromkeys((request.id for request in requests), time.monotonic()))
            for request in requests:
                if (ends := self._commands[request.command].ends) is None:
                    self._queue.append(request)
                else:
                    self._aside += self._endings.begin(request, ends, self._in_hand, self._queue)
            self._wake()
        with suppress(LedgerUnavailable):  # the thread tries again
            self._answer_aside()

    def probe(self) -> None:
        """Find out whether the terminal answers, and enable it if that is owed, unless it is being talked to."""
        with self._lock:
            self._probe_wanted = self._job is None or self._listener is not None
            self._wake()

    @property
    def waiting(self) -> int:
        """How many requests wait or are being worked on."""
        return len(self._queue) + len(self._in_hand)

    @property
    def pending_enable(self) -> bool:
        """Whether the terminal may still be disabled by us."""
        return self._pending_enable

    @property
    def is_waited_for(self) -> bool:
        """Whether requests wait for the terminal to come back."""
        return bool(self._parked)

    def overdue(self) -> bool:
        """Whether a request is held longer than its deadline and the closing of its session can take."""
        due = self._due
        late = due is not None and time.monotonic() > due.at + GRACE_S
        return late or (self._listener is not None and self._listener.overdue())

    @property
    def listens(self) -> bool:
        """Whether punches are told as they happen; a visit begins that."""
        return self._listener is not None

    def stop(self) -> None:
        """Begin nothing new; what is in hand is finished or left for the next start, and no person waited for."""
        with self._lock:
            self._stop.set()
            for task in self._in_hand:
                task.presence.end(None)
        if self._listener is not None:
            self._listener.stop()

    def join(self, timeout: float) -> bool:
        """Wait until its thread is at rest; whether that was reached."""
        job = self._job
        return job is None or job.join(timeout)

    def _wake(self) -> None:
        if self._job is None and not self._stop.is_set() and (self._queue or self._probe_wanted or self._aside):
            self._job = self._pool.start(self._run, name=f"terminal {self.device.id}")
        elif self._listener is not None:
            self._listener.interrupt()

    @property
    def _line(self) -> Line | None:
        """The connection that is held between requests, if any: every session of this thread must use it."""
        return None if self._listener is None else self._listener.line

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._has_work():
                self._serve()
            if self._listener is not None:
                self._listener.close()
        except BaseException as error:  # the last line of a thread: whoever watches must hear of it
            log.critical("device=%s its worker died", self.device.id, exc_info=True)
            self._hooks.fail(error)

    def _has_work(self) -> bool:
        with self._lock:
            if not self._stop.is_set() and (self._is_wanted() or self._listener is not None):
                return True
            self._job = None
            return False

    def _is_wanted(self) -> bool:
        """Whether anything is to be done, or the thread is to end."""
        waiting = self._queue or self._in_hand or self._probe_wanted or self._aside
        return self._stop.is_set() or bool(waiting) or self._may_catch_up()

    def _serve(self) -> None:
        """One conversation, with its retries: everything that waits shares its end if it fails for good."""
        if self._listener is not None and (not self._is_wanted() or self._listener.needs_drain()):
            self._listener.listen(self._is_wanted)
            if self._stop.is_set() or not self._is_wanted():
                return
        with self._lock:
            idle = not self._queue and not self._in_hand
            visiting, self._probe_wanted = self._probe_wanted and idle, False
            catching_up = idle and not visiting and self._may_catch_up()
        self._due = Deadline.after(self._config.retry.deadline)
        try:
            self._answer_aside()
            self._go(visiting=visiting, catching_up=catching_up)
        except Interrupted:
            self._in_hand.clear()  # the ledger has them; the next start goes on
        except LedgerUnavailable as failure:
            log.error("device=%s %s; trying again", self.device.id, failure)  # noqa: TRY400 - the sentence says it all
            self._stop.wait(DISK_PAUSE_S)
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not lose the answers of all who wait
            self._blame_ourselves(fault)
        finally:
            self._due = None
        visit_soon = self._pending_enable or self.is_waited_for
        if not visit_soon or (self._reached and not self._pending_enable):
            self._failed_probes = 0  # a terminal that is there will soon have done what waits for it
        if visit_soon:
            self._failed_probes += 1
            self._hooks.probe_soon(self.device.id, self._failed_probes)

    def _go(self, *, visiting: bool, catching_up: bool) -> None:
        try:
            if visiting:
                self._call_on(self._deadline)
            elif catching_up:
                self._catch_up(self._deadline)
            else:
                self._converse()
        except TerminalError as failure:
            if catching_up:
                self._catch_up_later()
            self._fail_all(failure, self._deadline, alone=catching_up)

    def _converse(self) -> None:
        again(
            lambda: self._session(self._deadline),
            retry=self._config.retry,
            pause=self._stop.wait,
            remaining=lambda: self._deadline.remaining(),  # noqa: PLW0108 - it is another one after a person's time
            before_pause=self._tell_retry,
        )

    @property
    def _deadline(self) -> Deadline:
        """That of the conversation: it moves on by the time that a person takes."""
        return self._due or Deadline.after(self._config.retry.deadline)

    @contextmanager
    def _waiting_for_a_person(self, seconds: float) -> Iterator[None]:
        """So many seconds at most, which count for no deadline: not the watchdog's, nor that of a new attempt."""
        began, deadline = time.monotonic(), self._deadline
        if seconds:
            self._due = deadline.later(seconds + self.device.timeout)
        try:
            yield
        finally:
            if seconds:
                self._due = deadline.later(time.monotonic() - began)

    def _stay(self) -> None:
        """Raise Interrupted when the bridge stops: nothing is in hand yet that another start could not do as well."""
        if self._stop.is_set():
            raise Interrupted

    def _call_on(self, deadline: Deadline) -> None:
        """A visit without a request: pay what is owed, or only see whether somebody is there."""
        line = self._line
        if self._pending_enable:
            enable(self.device, deadline=deadline, lock_dir=self._config.lock_dir, line=line, waiting=self._stay)
            self._settle_debt()
        else:
            told = reach(self.device, deadline=deadline, lock_dir=self._config.lock_dir, line=line, waiting=self._stay)
            self._tell_sizes(told.sizes)
        self._has_answered()

    def _has_answered(self) -> None:
        self._reached = True
        self._hooks.note_availability(self.device.id, None)

    # -- catching up ---------------------------------------------------------------------------------------------

    def _may_catch_up(self) -> bool:
        return bool(self._parked) and self._reached and time.monotonic() >= self._catch_up_at

    def _catch_up(self, deadline: Deadline) -> None:
        """Do what has waited, in a conversation of its own, tried once: whatever goes wrong in it costs nobody else."""
        requests = self._take_up(most=CATCH_UP)
        if not requests:
            self._parked = {}  # it has expired
            return
        log.info("device=%s is back; catching up with %d requests", self.device.id, len(requests))
        self._in_hand.extend(task for request in requests if (task := self._task(request)) is not None)
        while self._in_hand and not self._stop.is_set():
            self._session(deadline, catching_up=True)
        self._catch_ups_failed, self._catch_up_at = 0, 0.0
        self._in_hand.clear()  # the bridge stops; the ledger has what is left

    def _catch_up_later(self) -> None:
        pause = min(CATCH_UP_AGAIN_S * 2 ** min(self._catch_ups_failed, 10), CATCH_UP_AGAIN_MOST_S)
        self._catch_ups_failed += 1
        self._catch_up_at = time.monotonic() + pause

    def _take_up(self, *, subject: str | None = None, most: int) -> list[Request]:
        requests = self._ledger.take_up(self.device.id, subject=subject, most=most)
        for request in requests:
            self._parked.pop(request.id, None)
        return requests

    def _older_than(self, task: Task) -> list[Task]:
        """What has waited for the terminal and is about the same as the task: asked before, and so done before."""
        key = task.params.key
        if key is None or not task.command.disables or key not in self._parked.values():
            return []
        requests = self._take_up(subject=key, most=self._config.queue_limit)
        self._parked = {request: subject for request, subject in self._parked.items() if subject != key}
        return [older for request in requests if (older := self._task(request)) is not None]

    def _parking(self, task: Task, failure: TerminalError) -> Reply | None:
        """What is said of a request that waits for the terminal from now on; None for one that does not."""
        until = task.request.expires_at
        may_wait = task.request.catch_up and until is not None and isinstance(failure, ConnectionFailure)
        if not may_wait or until is None or until <= self._clock.now() or len(self._parked) >= self._config.queue_limit:
            return None
        language = self._config.language
        why = failure.sentence(language)
        return waiting(self.device.id, until=until, effect=failure.effect, why=why, language=language)

    # -- a session -----------------------------------------------------------------------------------------------

    def _session(self, deadline: Deadline, *, catching_up: bool = False) -> None:
        first = self._first()
        if first is None:
            return
        disables = first.disables
        began, stood = time.monotonic(), False
        session = open_session(
            self.device,
            deadline=deadline,
            known=self._known,
            # Long enough for the session and one answer that is late; should we die, people wait no longer.
            disable_for=math.ceil(self._config.session_budget + self.device.timeout) if disables else None,
            enable_first=self._pending_enable,
            lock_dir=self._config.lock_dir,
            waiting=self._stay,
            line=self._line,
        )
        if disables and self._listener is not None:
            self._listener.forget_names()
        try:
            with session:
                stood = True
                self._has_answered()
                if disables:
                    if any(task.asked for task in self._in_hand):
                        session.refresh()  # some terminals show a written user only then
                    self._read_table(session)
                visit = _Visit(disables, first.attended, alone=catching_up)
                self._work(session, visit)
                self._confirm(session, visit)
                session.begin_to_enable()
                # Nobody need wait for the terminal's yes and our goodbye; until that yes is here, the debt is on disk.
                self._conclude(session)
        finally:
            self._conclude(session)
            if stood:
                seconds, disabled_s = time.monotonic() - began, session.disabled_s if disables else None
                self._tell(SessionEnded(self.device.id, seconds, disabled_s))

    def _conclude(self, session: Session) -> None:
        self._learn_from(session)
        self._finish_answered()

    def _first(self) -> Command | None:
        """The command that comes first, which says how people and terminal are to be met; None where nothing waits.

        A session goes on only with requests that want the same. So the order stays, nobody is kept off because
        somebody else reads, and the door is never asked of a terminal that is disabled. One that a person takes part
        in is taken in hand here, alone: what was asked before it is not to wait for that person.
        """
        with self._lock:
            if self._in_hand:
                return self._in_hand[0].command
            if not self._queue:
                return None
            first = self._commands[self._queue[0].command]
            return None if first.attended and not self._take(1) else first

    def _read_table(self, session: Session) -> None:
        """A table that cannot be read is everybody's refusal, not the first request's.

        And a table is worth something only while nobody can change it. If reading it took so long that the terminal
        was about to enable itself, it is kept disabled; if that came too late, the table is read again, disabled for
        as much longer. That its count is the same proves nothing: one may have been added, and another deleted.
        """
        needed = self._config.session_budget + self.device.timeout / 2
        for reading in range(TABLE_READINGS):
            began = time.monotonic()
            if reading:
                session.users(again=True)
            else:
                session.read_ahead()
            if session.keep_disabled(needed, longer=2 * (time.monotonic() - began)):
                return
        raise DeviceTimeout(host=self.device.host, port=self.device.port)

    def _learn_from(self, session: Session) -> None:
        """What the session taught, whichever way it ended."""
        if session.counted != Sizes():
            self._tell_sizes(session.counted)
        if session.known != self._known:
            self._known = session.known
            self._remember(session.known)
        if session.owes_enable:
            self._pending_enable = True
        elif self._pending_enable and session.enabled:
            self._settle_debt()

    # -- inside a session ----------------------------------------------------------------------------------------

    def _work(self, session: Session, visit: _Visit) -> None:
        """Rounds of planning, one commit, asking; until nothing is left or the budget is used up."""
        passed_over: set[int] = set()
        while True:
            tasks = [task for task in self._in_hand if task.reply is None and task.request.id not in passed_over]
            if not tasks and not visit.attended and not visit.alone and not self._stop.is_set():
                tasks = self._take(ROUND, disables=visit.disables)
            if not tasks:
                return
            with self._on_trust(session, visit, tasks[:ROUND]):
                planned, left = self._plan_all(session, visit, tasks[:ROUND])
                changes = self._note(session, visit, planned)
                if not session.prove():
                    continue
            passed_over |= left
            if not self._ask(session, visit, changes):
                return

    @contextmanager
    def _on_trust(self, session: Session, visit: _Visit, tasks: list[Task]) -> Iterator[None]:
        """Plan by a table that is not proven yet; if it is not in the end, nothing of that is said or done.

        So the disk is waited for while the terminal frees its copy of the table. A note of a plan that is dropped
        does no harm: it is one attempt more that came to nothing.
        """
        if session.is_proven:
            yield
            return
        table = session.users()
        try:
            yield
        finally:
            if not session.is_proven or session.users() is not table:
                for task in tasks:
                    task.reply, task.replayed = None, False
                visit.touched.clear()
                visit.count_before = None

    def _plan_all(
        self, session: Session, visit: _Visit, tasks: list[Task]
    ) -> tuple[list[tuple[Task, Change]], set[int]]:
        """The changes to make, and the requests that must wait for another session."""
        changes, left = [], set()
        for task in tasks:
            outcome = self._plan(session, task, visit)
            if isinstance(outcome, Change):
                changes.append((task, outcome))
            elif task.reply is None:
                left.add(task.request.id)
        return changes, left

    def _take(self, most: int, *, disables: bool | None = None) -> list[Task]:
        """The next requests; only as far as they want the same, if `disables` says what."""
        with self._lock:
            requests: list[Request] = []
            while self._queue and len(requests) < most:
                following = self._commands[self._queue[0].command]
                if disables is not None and (following.attended or following.disables != disables):
                    break
                requests.append(self._queue.popleft())
            taken = [task for request in requests if (task := self._task(request)) is not None]
            tasks = [each for task in taken for each in (*self._older_than(task), task)]
            self._in_hand.extend(tasks)
            for task in tasks:
                self._endings.meet(task)
                if self._stop.is_set():
                    task.presence.end(None)
        return tasks

    def _task(self, request: Request) -> Task | None:
        """The request with what it asks for; None, and an answer, for one that this version cannot read any more."""
        command = self._commands[request.command]
        arrived = self._arrived.pop(request.id, None)
        try:
            params = command.load(request.params)
        except ValueError:
            error_id = secrets.token_hex(4)
            log.exception("request=%d error_id=%s what was kept cannot be read", request.id, error_id)
            reply = failed(Internal(error_id), self._config.language, request_id=request.request_id)
            finished = self._ledger.finish([Finish(request, reply)])
            self._hooks.note_answers(finished.answers)
            self._tell(Answered(request.device, request.command, reply.code, _age_s(request)))
            return None
        asked = bool(request.tried)
        task = Task(request, command, params, asked=asked, tried=request.tried, arrived=arrived, begun=asked)
        if command.attended:
            task.presence = Presence(partial(self._tell_progress, task))
        return task

    def _plan(self, session: Session, task: Task, visit: _Visit) -> Change | None:
        """The change to make; or None with the task's reply set, or without where it must wait for another session."""
        if not task.asked and self._is_late(task):
            task.reply = self._failed(task, Expired.at(task.request.expires_at or self._clock.now()))
            return None
        if not task.command.repeatable and (reply := self._instead_of_twice(task)) is not None:
            task.reply = reply
            return None
        if task.params.key is not None and task.params.key in visit.touched:
            return None
        earlier = self._earlier_reply(task)
        asked_before = task.asked or earlier is not None
        context = Context(self.device, asked_before, task.tried, self._room(task), task.presence, self._clock)
        try:
            outcome = task.command.run(session, task.params, context)
        except (ConnectionFailure, DeviceAuthFailed):
            raise
        except BridgeError as refusal:
            if task.asked and isinstance(refusal, TerminalError) and refusal.ends_session:
                raise  # what an earlier attempt has written is settled by reading
            task.reply = self._failed(task, refusal)
            return None
        if not isinstance(outcome, Change):
            task.reply = earlier or self._succeeded(task, outcome)
            task.replayed = earlier is not None
            return None
        if task.params.key is not None:
            visit.touched.add(task.params.key)
        return outcome

    def _is_late(self, task: Task) -> bool:
        """Whether the request is not good any more.

        Where an age is set, the clock on the wall does not suffice: it may be set back, and a machine without a
        clock of its own wakes up in the past. So what an earlier run has left is late, however old it looks.
        """
        if task.request.expires_at is not None and task.request.expires_at <= self._clock.now():
            return True
        max_age_s = task.params.max_age_s(self.device)
        return max_age_s is not None and (task.arrived is None or time.monotonic() - task.arrived >= max_age_s)

    def _instead_of_twice(self, task: Task) -> Reply | None:
        """The answer to what must not happen twice, where it may have happened."""
        if task.request.suspect_of is not None:
            earlier = self._ledger.reply_of(task.request.suspect_of)
            task.replayed = earlier is not None
            return earlier or self._failed(task, OutcomeUnknown())
        return self._failed(task, OutcomeUnknown()) if task.asked and not task.command.attended else None

    def _room(self, task: Task) -> int:
        """What a reply may have of rows, next to its other keys."""
        envelope = ENVELOPE_BYTES + len(encode(task.request.request_id))
        shares = task.request.shares
        return (self._reply_room() - envelope) // shares - (envelope if shares > 1 else 0)

    def _reply_of(self, request: int) -> Reply | None:
        """The stored reply of a request; None also where the disk does not say."""
        with suppress(LedgerUnavailable):
            return self._ledger.reply_of(request)
        return None

    def _earlier_reply(self, task: Task) -> Reply | None:
        """The success of the request that this one may be a broker's replay of; what only reads is read again."""
        if task.request.suspect_of is None or not task.command.disables:
            return None
        reply = self._ledger.reply_of(task.request.suspect_of)
        return reply if reply is not None and reply.success else None

    def _note(self, session: Session, visit: _Visit, planned: list[tuple[Task, Change]]) -> list[tuple[Task, Change]]:
        """Note the changes on disk, less those that were ended just now: the terminal may be asked for the rest."""
        changes = [(task, change) for task, change in planned if self._begins(task)]
        if not changes:
            return []
        if visit.disables and visit.count_before is None:
            visit.count_before = len(session.users())
        self._ledger.running((task.request.id, change.intent) for task, change in changes)
        return changes

    def _ask(self, session: Session, visit: _Visit, changes: list[tuple[Task, Change]]) -> bool:
        """Make the changes that were noted; False when the session has had its time."""
        for task, change in changes:
            if session.lapsed and not visit.asked:
                raise DeviceTimeout(host=self.device.host, port=self.device.port)
            if session.lapsed or (visit.asked and self._is_spent(session, visit)):
                return False
            self._apply(visit, task, change)
        return not self._is_spent(session, visit)

    def _begins(self, task: Task) -> bool:
        """From here on the terminal may have been asked; False if the request was ended just now, and answered."""
        with self._lock:
            task.begun = not task.closed
        return task.begun

    def _is_spent(self, session: Session, visit: _Visit) -> bool:
        """Whether the session has had its time: nobody is to be kept off, or kept waiting, for longer."""
        seconds = session.disabled_for() if visit.disables else time.monotonic() - visit.began
        return seconds >= self._config.session_budget

    def _apply(self, visit: _Visit, task: Task, change: Change) -> None:
        if not task.command.repeatable and self._is_late(task):
            task.reply = self._failed(task, Expired.at(task.request.expires_at or self._clock.now()))
            return
        visit.asked += 1
        task.asked = True
        task.tried = (*task.tried, change.intent)
        try:
            with self._waiting_for_a_person(task.params.lasts_s()):
                body = change.apply()
        except BridgeError as refusal:
            if isinstance(refusal, TerminalError) and refusal.ends_session:
                if not task.command.repeatable and not task.command.attended:
                    task.reply = self._failed(task, OutcomeUnknown())
                raise
            task.asked = False
            task.reply = self._failed(task, refusal)
        else:
            if visit.disables:
                visit.written.append((task, change, body))
            else:
                task.reply = self._succeeded(task, body)  # it is no user: there is no table to look it up in

    def _confirm(self, session: Session, visit: _Visit) -> None:
        """Refresh, and see what became of the changes: the table has the last word.

        The terminal's own count suffices where it grew by users whom it is known to keep as they are written.
        """
        if not visit.written:
            return
        session.refresh()
        table = None if self._is_proven_by_count(session, visit) else session.users(again=True)
        for task, change, body in visit.written:
            if table is None or change.kept(table):
                task.reply = self._succeeded(task, body)
            else:
                task.reply = self._failed(task, change.amiss(table) or self._lost(change))

    def _is_proven_by_count(self, session: Session, visit: _Visit) -> bool:
        if visit.count_before is None or not all(change.counts() for _, change, _ in visit.written):
            return False
        count, expected = session.count(), visit.count_before + sum(change.grows for _, change, _ in visit.written)
        if count != expected:
            told = "no" if count is None else count
            log.warning("device=%s counts %s users, not %d; reading its table", self.device.id, told, expected)
        return count == expected

    def _lost(self, change: Change) -> DeviceRejected:
        lost = DeviceRejected(change.lost, host=self.device.host, port=self.device.port)
        lost.effect = "unknown"  # it said yes; some show it after a restart only (kamshory/ZKLibrary#131)
        return lost

    # -- answers -------------------------------------------------------------------------------------------------

    def _succeeded(self, task: Task, body: dict[str, Any]) -> Reply:
        data = body.get("data")
        if task.command.answer.says is not None:
            body = {
                "message": say(task.command.name, self._config.language, **(data if isinstance(data, dict) else {})),
                **body,
            }
        return succeeded(body, code=task.command.code, request_id=task.request.request_id)

    def _tell_progress(self, task: Task, step: str, **facts: Any) -> None:
        """One step of a request's progress."""
        name = task.command.name
        message = say(f"{name}.{step}", self._config.language, **facts)
        told = {"message": message, "step": step, **facts, "device_id": self.device.id}
        request_id = task.request.request_id
        self._hooks.publish_progress(
            self.device.id, name, told if request_id is None else told | {"request_id": request_id}
        )

    def _failed(self, task: Task, error: BridgeError) -> Reply:
        return failed(error, self._config.language, request_id=task.request.request_id)

    def _finish_answered(self) -> None:
        """Keep every answer that is known; keep trying, for an answer must not be lost to a full disk."""
        with self._lock:
            answered = [task for task in self._in_hand if task.reply is not None]
            enders = [ender for task in answered for ender in self._endings.answer_with(task)]
            waits = [task for task in self._in_hand if task.reply is None and task.parked is not None]
        if not answered and not waits:
            return
        while True:
            try:
                self._keep([*answered, *enders], waits)
                break
            except LedgerUnavailable as failure:
                log.error("device=%s an answer cannot be kept yet: %s", self.device.id, failure)  # noqa: TRY400 - as above
                if self._stop.wait(DISK_PAUSE_S):
                    self._in_hand.clear()  # the next start reads the terminal again
                    return
        with self._lock:
            self._in_hand = [task for task in self._in_hand if task.reply is None and task.parked is None]

    def _answer_aside(self) -> None:
        """Keep the answers that need no terminal. Raises LedgerUnavailable; they are then still to be kept."""
        with self._lock:
            tasks, self._aside = self._aside, []
        if not tasks:
            return
        try:
            self._keep(tasks)
        except LedgerUnavailable:
            with self._lock:
                self._aside += tasks
                self._wake()
            raise

    def _keep(self, tasks: list[Task], waits: Iterable[Task] = ()) -> None:
        """Keep the answers of tasks, and what waits for the terminal, all or none. Raises LedgerUnavailable."""
        finishes = [Finish(task.request, task.reply, task.replayed) for task in tasks if task.reply is not None]
        parked = [
            Parked(task.request.id, task.params.key or "", task.parked) for task in waits if task.parked is not None
        ]
        owed_by = self.device.id if self._pending_enable else None
        finished = self._ledger.finish(finishes, parked=parked, owed_by=owed_by)
        self._hooks.note_answers(
            finished.answers
        )  # first: callers wait longer for their reply than anybody for the log
        self._parked |= {each.request: each.subject for each in parked}
        for task in tasks:
            self._tell_answer(task)
        for each in finished.groups:
            self._tell(Answered(each.request.device, each.request.command, each.reply.code, _age_s(each.request)))
        for task in waits:
            log.warning("device=%s request=%d waits until the device answers", self.device.id, task.request.id)
            self._hooks.note_waiting(task.request.expires_at or 0.0)

    def _fail_all(self, failure: TerminalError, deadline: Deadline, *, alone: bool) -> None:
        """The conversation failed for good: so did everything that waits for it, save what may wait for another one.

        `alone`: nobody else was to have a part in it.
        """
        if isinstance(failure, (ConnectionFailure, DeviceAuthFailed)):
            self._hooks.note_availability(self.device.id, failure.sentence(self._config.language))
        self._tell(Failed(self.device.id, failure.code, final=True))
        self._reached = False
        if not alone and not any(task.command.attended and task.asked for task in self._in_hand):
            self._take(len(self._queue))  # but nobody shares the end of a person's time
        if not self._in_hand:
            self._tell(Trouble(self.device.id, failure.code, failure.sentence(self._config.language), visit=True))
        with self._failure_gate:  # terminals that have died together are given up together, and others are alive
            self._fail([task for task in self._in_hand if not task.asked], failure)
            self._finish_answered()
        self._settle(deadline)
        self._fail(list(self._in_hand), failure)
        self._finish_answered()

    def _fail(self, tasks: list[Task], failure: TerminalError) -> None:
        for task in tasks:
            if task.reply is None:
                failure.effect = "unknown" if task.asked else "none"
                task.parked = self._parking(task, failure)
                if task.parked is None:
                    task.reply = self._failed(task, failure)

    def _unsettled(self) -> list[Task]:
        """Those of whom nobody knows whether they were written, and whose effect a table can show."""
        return [task for task in self._in_hand if task.asked and task.reply is None and task.command.disables]

    def _settle(self, deadline: Deadline) -> None:
        """Read the terminal once more, to change nothing: what it shows is the answer.

        Where its refresh or its sizes are what breaks, only the table is read: it cannot prove that nothing was
        written, but what it shows is there. Raises Interrupted when the bridge stops: then the next start reads.
        """
        for counted in (True, False):
            if not self._unsettled():
                return
            self._stay()
            session = open_session(
                self.device,
                deadline=deadline,
                known=self._known,
                disable_for=None,
                lock_dir=self._config.lock_dir,
                waiting=self._stay,
                line=self._line,
            )
            try:
                with session:
                    self._look(session, counted=counted)
            except TerminalError as failure:
                log.warning("device=%s cannot be read again: %s", self.device.id, failure)
            else:
                return

    def _look(self, session: Session, *, counted: bool) -> None:
        if counted:
            session.refresh()
            session.users()
        else:
            session.glance()
        visit = _Visit(disables=False)
        for task in self._unsettled():
            if self._plan(session, task, visit) is not None and counted:
                task.asked = False  # a terminal does one thing after the other: it never came to writing this

    def _blame_ourselves(self, fault: Exception) -> None:
        """Answer what the fault has hit; what the terminal was asked already is first looked for there, once."""
        error_id = secrets.token_hex(4)
        log.error("device=%s error_id=%s a fault of the bridge's own", self.device.id, error_id, exc_info=fault)
        for task in self._in_hand:
            if task.asked and not task.blamed:
                task.blamed = True
            elif task.reply is None:
                task.reply = self._failed(task, Internal(error_id))
        self._finish_answered()

    def _tell_answer(self, task: Task) -> None:
        request, reply = task.request, task.reply
        if reply is None:
            return
        seconds = _age_s(request)
        log.log(
            logging.INFO if reply.success else logging.WARNING,
            "answered request=%d device=%s command=%s request_id=%s status=%d code=%s seconds=%.2f",
            request.id,
            request.device,
            request.command,
            request.request_id,
            reply.status,
            reply.code,
            seconds,
        )
        self._tell(Answered(request.device, request.command, reply.code, seconds, again=task.replayed))
        self._tell_outcome(task, reply)

    def _tell_outcome(self, task: Task, reply: Reply) -> None:
        if reply.status >= Internal.status:
            self._tell(Trouble(self.device.id, reply.code, json.loads(reply.body)["error"]))
        elif task.command.creates_user and reply.success and not task.replayed:
            self._tell(Created(self.device.id, json.loads(reply.body)["data"]["user_id"]))

    def _tell_sizes(self, sizes: Sizes) -> None:
        self._tell(Counted(self.device.id, sizes.users, sizes.users_capacity, sizes.users_left))

    # -- what is remembered --------------------------------------------------------------------------------------

    def _recall(self) -> Known:
        text = self._ledger.recall(self.device.id, "terminal")
        return Known.parse(text) if text else Known()

    def _remember(self, known: Known) -> None:
        try:
            self._ledger.remember(self.device.id, "terminal", str(known))
        except LedgerUnavailable as failure:
            log.warning("device=%s what was learnt is not kept: %s", self.device.id, failure)

    def _settle_debt(self) -> None:
        self._ledger.paid(self.device.id)
        self._pending_enable = False
        self._hooks.note_answers([])

    def _tell_retry(self, attempt: int, pause_s: float, failure: BaseException) -> None:
        if isinstance(failure, ConnectionFailure):
            self._tell(Failed(self.device.id, failure.code, final=False))
        log.warning(
            "device=%s attempt %d of %d failed, again in %.1f s: %s",
            self.device.id,
            attempt,
            self._config.retry.attempts,
            pause_s,
            failure,
        )


def _age_s(request: Request) -> float:
    """Seconds since it was kept."""
    return max(0.0, time.time() - request.accepted_at)
