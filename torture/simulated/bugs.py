"""Faults that are put into the bridge on purpose, to see that the world finds each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from unittest import mock

from torture.simulated.machine import here
from zkbridge.attendance.bookmark import Bookmark
from zkbridge.attendance.live_events import LiveEvents
from zkbridge.attendance.log_reader import LogReader
from zkbridge.attendance.recorder import Recorder
from zkbridge.bridge.dates import DateSchedule
from zkbridge.commands.door_unlock import Unlock
from zkbridge.ledger.database import Database, ignore
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.finding import Finder
from zkbridge.ledger.outcomes import Outcomes
from zkbridge.ledger.punch_store import PunchStore
from zkbridge.machine.clock import Clock
from zkbridge.mqtt.receiver import Receiver
from zkbridge.mqtt.subscriptions import Subscriber
from zkbridge.outbox.delivery import Delivery
from zkbridge.outbox.punches import Announcer
from zkbridge.outbox.replies import Outbox
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.exchange import Exchange
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.worker.catch_up import CatchUp
from zkbridge.worker.change_maker import ChangeMaker
from zkbridge.worker.dates import Dates
from zkbridge.worker.failures import FailureHandler
from zkbridge.worker.planner import Planner
from zkbridge.worker.request_queue import RequestQueue
from zkbridge.worker.session_state import SessionState
from zkbridge.worker.verifier import Verifier
from zkbridge.worker.worker import Worker

Make = Callable[[Any], Any]


class Bug(NamedTuple):
    """A fault: a method of a class is replaced by what `make` makes of it. `does` says what the program does then."""

    name: str
    does: str
    of: type
    method: str
    make: Make

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """Have the program do it inside."""
        real = self.of.__dict__[self.method]
        with mock.patch.object(self.of, self.method, self.make(real)):
            yield


def _acknowledge_first(settle: Any) -> Any:
    def wrong(self: Any, subscriptions: Any) -> None:
        for raw in self._arrived:
            self._client.ack(raw.mid, raw.qos)
        settle(self, subscriptions)

    return wrong


class _Forgetful:
    """A ledger that notes nothing yet."""

    def running(self, intents: Any) -> None:
        """Leave it for later."""
        list(intents)


def _note_later(make: Any) -> Any:
    def wrong(self: Any, device: Any, config: Any, ledger: Any, **parts: Any) -> None:
        make(self, device, config, ledger, **parts)
        asks, self._ledger = self.ask, _Forgetful()

        def ask(session: Any, state: Any, changes: Any) -> bool:
            asked: bool = asks(session, state, changes)
            ledger.running((each.task.request.id, each.change.intent) for each in changes)
            return asked

        self.ask = ask

    return wrong


def _never_urgent(begin: Any) -> Any:
    return lambda self, **how: begin(self, **{**how, "urgent": False})


def _no_notice(_wake: Any) -> Any:
    def wrong(self: Any) -> None:
        with self._change:
            self._look = True

    return wrong


def _unlocked_end(_has_work: Any) -> Any:
    def wrong(self: Any) -> bool:
        if not self._requests.stopping and (self._is_wanted() or self._listener is not None):
            return True
        here().point("another thread may go first")  # Python may switch threads wherever no lock is held
        self._job = None
        return False

    return wrong


def _place_first(add: Any) -> Any:
    def wrong(self: Any, device: str, bodies: Any, place: Any, **how: Any) -> None:
        add(self, device, (), place, **how)
        punches = [(device, body) for body in bodies]
        insert = "INSERT INTO punches (device, body) VALUES (?, ?)"
        self._database.write(lambda db: ignore(db.executemany(insert, punches)))

    return wrong


def _twice_at_work(_wake: Any) -> Any:
    def wrong(self: Any) -> None:
        if not self._requests.stopping and (self._requests.has_new or self._parts.dates.is_due):
            self._job = self._pool.start(self._run, name=f"terminal {self.device.id}")
        elif self._listener is not None:
            self._listener.interrupt()

    return wrong


def _repeat_blindly(plan: Any) -> Any:
    def wrong(self: Any, session: Any, state: Any, task: Any) -> Any:
        if not (task.asked and task.command.name == "users/create"):
            return plan(self, session, state, task)
        with mock.patch.object(RecordTable, "by_user_id", return_value=None):
            return plan(self, session, state, task)

    return wrong


def _forget_tried(plan: Any) -> Any:
    blind = _repeat_blindly(plan)

    def wrong(self: Any, session: Any, state: Any, task: Any) -> Any:
        tried, task.tried = task.tried, ()
        try:
            return blind(self, session, state, task)
        finally:
            task.tried = tried

    return wrong


def _all_confirmed(offline: Any) -> Any:
    def wrong(self: Any) -> None:
        with self._change:
            self._confirmed += [number for number in self._under_way if number not in self._confirmed]
            with suppress(LedgerUnavailable):
                self._settle()
        offline(self)

    return wrong


def _no_effect(_fail: Any) -> Any:
    def wrong(self: Any, tasks: Any, failure: Any) -> None:
        for task in tasks:
            if task.is_open:
                failure.effect = "none"
                task.reply = self._replies.failed(task.request, failure)

    return wrong


def _newest_first(add: Any) -> Any:
    def wrong(self: Any, requests: Any, *, resumed: bool = False) -> None:
        add(self, requests, resumed=resumed)
        self._queue.reverse()

    return wrong


def _no_note(finish: Any) -> Any:
    return lambda self, finishes, **kept: finish(self, finishes, **{**kept, "pending_enable": None})


def _first_frame(_next_frame: Any) -> Any:
    def wrong(self: Any, channel: Any, until: Any, **_how: Any) -> Any:
        while (frame := channel.receive(until)).command == Command.EVENT:
            self.events.append(frame)
        return frame

    return wrong


def _dates_forgotten(finish: Any) -> Any:
    return lambda self, finishes, **kept: finish(self, finishes, **{**kept, "validities": ()})


def _remembered_session(subscribe: Any) -> Any:
    def wrong(self: Any, subscriptions: Any) -> None:
        before = (self._hooks.recall("filters") or "").split()
        if before != subscriptions.wanted(self._state.protocol):
            subscribe(self, subscriptions)
            return
        self._asked_for[self._client.subscribe([])[1]] = ()
        self._count()

    return wrong


def _by_count(_new_in: Any) -> Any:
    return lambda self, log: log[self.place.count :]


def _always(value: object) -> Make:
    return lambda _real: lambda *_, **__: value


BUGS = (
    Bug("unlocked end", "ends a worker's thread without the queue's lock", Worker, "_has_work", _unlocked_end),
    Bug("early place", "stores the place in a log before the punch", PunchStore, "add", _place_first),
    Bug("no second try", "does not try again to enable a terminal", Worker, "_ask_for_probe", _always(None)),
    Bug("endless session", "continues a session as long as requests come", ChangeMaker, "_is_spent", _always(False)),
    Bug("date by a wrong clock", "carries out dates by any clock", Dates, "_clock_counts", _always(True)),
    Bug("overtaken wait", "executes a request before older ones that wait", CatchUp, "older_than", _always([])),
    Bug("swapped commit", "acknowledges a message before it is kept", Receiver, "settle", _acknowledge_first),
    Bug("late note", "notes a change after it was sent to the terminal", ChangeMaker, "__init__", _note_later),
    Bug("missing sync", "does not wait for the disk", Database, "_begin", _never_urgent),
    Bug("lost wake-up", "keeps an answer without waking the outbox", Delivery, "wake", _no_notice),
    Bug("second thread", "starts a second thread for a terminal", Worker, "_wake", _twice_at_work),
    Bug("blind retry", "repeats a create without reading the table", Planner, "plan", _forget_tried),
    Bug("trusted clock", "uses a clock that jumps", Clock, "now", lambda _real: lambda self: self._wall()),
    Bug("unknown redelivery", "takes a redelivery for a new message", Finder, "_is_redelivery", _always(False)),
    Bug("dropped reply", "counts replies as sent when the connection breaks", Outbox, "offline", _all_confirmed),
    Bug("dropped punch", "counts punches as sent when the connection breaks", Announcer, "offline", _all_confirmed),
    Bug("wrong effect", "always answers that nothing was written", FailureHandler, "_fail", _no_effect),
    Bug("unchecked change", "does not read the table after a change", Verifier, "_is_shown_by_count", _always(True)),
    Bug("reversed order", "executes the newest request first", RequestQueue, "add", _newest_first),
    Bug("reply behind a change", "changes a user before an older reply is kept", SessionState, "claim", _always(True)),
    Bug("forgotten note", "does not store that a terminal may be disabled", Outcomes, "finish", _no_note),
    Bug("stray answer", "takes a datagram of an earlier request for the answer", Exchange, "next_frame", _first_frame),
    Bug("believed datagram", "publishes what comes as it comes", LiveEvents, "_is_in_doubt", _always(False)),
    Bug("forgotten date", "does not store the dates of a user", Outcomes, "finish", _dates_forgotten),
    Bug("unheard date", "waits for a request to carry out dates", DateSchedule, "_look", _always(None)),
    Bug("second opening", "opens a door again after a lost answer", Planner, "_instead_of_twice", _always(None)),
    Bug("late opening", "opens a door however old the request is", Unlock, "max_age_s", _always(None)),
    Bug("kept place", "keeps its place although the log was cleared", Bookmark, "new_in", _by_count),
    Bug("believed short log", "takes each short log for a cleared one", LogReader, "_must_not_shrink", _always(None)),
    Bug("unknown end", "remembers no punch of the first reading", Recorder, "remember", _always(None)),
    Bug("trusted session", "subscribes in its first session only", Subscriber, "subscribe", _remembered_session),
)
