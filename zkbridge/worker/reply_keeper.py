"""Keeps the replies to one device's requests in the ledger, and hands them on to be sent."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from zkbridge.config.models import Device
from zkbridge.contract.errors import Internal
from zkbridge.contract.messages import Reply
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer, Finish, Parked, Request, ValidityChange
from zkbridge.ledger.rows import log_answer
from zkbridge.telemetry.events import Answered, Created, DoorAnswered, EventSink, Trouble
from zkbridge.worker.catch_up import CatchUp
from zkbridge.worker.dates import Dates
from zkbridge.worker.surroundings import WorkerHooks
from zkbridge.worker.task import Task
from zkbridge.worker.terminal_facts import TerminalFacts

log = logging.getLogger(__name__)

#: Seconds between attempts to keep a reply that the disk does not take.
DISK_PAUSE_S = 1.0


class AnsweredTasks(Protocol):
    """What the keeper needs of the RequestQueue."""

    def close_answered(self) -> tuple[list[Task], list[Task]]:
        """The tasks whose reply is known, which nothing can cancel from here on; and those that wait or leave."""

    def drop_answered(self) -> None:
        """Drop the tasks that `close_answered` returned: the ledger has their replies."""

    def drop_in_hand(self) -> None:
        """Drop all tasks: the next start goes on with them."""

    def take_ready(self) -> list[Task]:
        """The tasks that have their reply without a session."""

    def put_back_ready(self, tasks: list[Task], /) -> None:
        """Return what `take_ready` gave: it could not be kept."""

    def pause(self, seconds: float, /) -> bool:
        """Wait for some seconds; return True at once where the bridge stops."""


class ReplyKeeper:
    """Keeps replies. `keep_ready` may be called from any thread, the rest from the worker's alone."""

    def __init__(
        self,
        device: Device,
        ledger: Ledger,
        *,
        facts: TerminalFacts,
        waiting: CatchUp,
        dates: Dates,
        hooks: WorkerHooks,
        events: EventSink,
    ) -> None:
        self._device = device
        self._ledger = ledger
        self._facts = facts
        self._waiting = waiting
        self._dates = dates
        self._hooks = hooks
        self._events = events

    def keep_answered(self, requests: AnsweredTasks) -> None:
        """Keep every reply that is known. A full disk is waited for, unless the bridge stops: no reply may be lost."""
        answered, waits = requests.close_answered()
        if not answered and not waits:
            return
        while True:
            try:
                self.keep(answered, waits, kept=requests.drop_answered)
                break
            except LedgerUnavailable as failure:
                log.error("device=%s an answer cannot be kept yet: %s", self._device.id, failure)  # noqa: TRY400 - the failure says it all
                if requests.pause(DISK_PAUSE_S):
                    requests.drop_in_hand()  # the next start reads the terminal again
                    return

    def keep_ready(self, requests: AnsweredTasks) -> None:
        """Keep the replies that need no session. Raises LedgerUnavailable; they are then still to be kept."""
        tasks = requests.take_ready()
        if not tasks:
            return
        try:
            self.keep(tasks)
        except LedgerUnavailable:
            requests.put_back_ready(tasks)
            raise

    def keep(self, tasks: list[Task], waits: Iterable[Task] = (), *, kept: Callable[[], None] = lambda: None) -> None:
        """Keep the replies of tasks, and that others wait for the terminal, all or none. Raises LedgerUnavailable.

        `kept` is called before a reply leaves: who reads it and asks again finds the room of what it answers.
        """
        waits = list(waits)
        for task in waits:
            self._hand_over(task)
        finishes = [Finish(task.request, task.reply, task.replayed) for task in tasks if task.reply is not None]
        parked = [
            Parked(task.request.id, task.params.key or "", task.parked) for task in waits if task.parked is not None
        ]
        pending_enable = self._device.id if self._facts.pending_enable else None
        dates = [change for task in (*tasks, *waits) if (change := _dates_after(task)) is not None]
        finished = self._ledger.finish(finishes, parked=parked, pending_enable=pending_enable, validities=dates)
        self._waiting.add(parked)
        kept()
        self._send(finished.answers)  # before the log and the figures: callers wait for their replies
        self._dates.note(dates)
        for task in tasks:
            self._report(task)
        for each in finished.groups:
            self._events(Answered(each.request.device, each.request.command, each.reply.code, age_s(each.request)))
        for task in (each for each in waits if each.parked is not None):
            log.warning("device=%s request=%d waits until the device answers", self._device.id, task.request.id)
            self._hooks.note_waiting(task.request.expires_at or 0.0)
            if task.parked is not None and not self._waiting.is_told(task):
                with suppress(LedgerUnavailable):  # the answer follows all the same
                    self._hooks.tell_waiting(task.request, task.parked)

    def _send(self, answers: list[Answer]) -> None:
        """Have kept replies sent; once more after a fault of the bridge, for no task is left that would do it."""
        try:
            self._hooks.note_answers(answers)
        except Exception:
            log.exception("device=%s the sending of kept replies failed; once more", self._device.id)
            self._hooks.note_answers(answers)

    def _hand_over(self, task: Task) -> None:
        """Have the ledger keep the requests that take this one's place, and the other workers do them."""
        if task.handing_over is not None and not task.handed_over:
            self._hooks.hand_over(task.request, task.handing_over)
            task.handed_over = True

    def keep_unreadable(self, request: Request, reply: Reply) -> None:
        """Keep the reply to a request that this version cannot read any more. Raises LedgerUnavailable."""
        finished = self._ledger.finish([Finish(request, reply)])
        self._hooks.note_answers(finished.answers)
        self._events(Answered(request.device, request.command, reply.code, age_s(request)))

    def reply_of(self, request: int) -> Reply | None:
        """The stored reply of a request; None also where the ledger cannot be read."""
        with suppress(LedgerUnavailable):
            return self._ledger.reply_of(request)
        return None

    def _report(self, task: Task) -> None:
        request, reply = task.request, task.reply
        if reply is None:
            return
        seconds = age_s(request)
        log_answer(log, request, reply, seconds=seconds)
        self._events(Answered(request.device, request.command, reply.code, seconds, again=task.replayed))
        if task.command.opens_s is not None and not task.replayed:
            unknown = json.loads(reply.body).get("effect") == "unknown"
            opened = None if unknown else reply.success
            self._events(DoorAnswered(self._device.id, task.command.opens_s(task.params), opened))
        if reply.status >= Internal.status:
            self._events(Trouble(self._device.id, reply.code, json.loads(reply.body)["error"]))
        elif task.command.creates_user and reply.success and not task.replayed:
            self._events(Created(self._device.id, json.loads(reply.body)["data"]["user_id"]))


def age_s(request: Request) -> float:
    """The seconds since the request was kept."""
    return max(0.0, time.time() - request.accepted_at)


def _dates_after(task: Task) -> ValidityChange | None:
    """What is kept of a user's dates with a task's reply: as the request says, unless it surely had no effect."""
    reply, dates = task.reply, task.dates.change
    if dates is None or task.replayed:
        return None
    may_be_done = task.asked if reply is None else reply.success or reply.open_effect == "unknown"
    return ValidityChange(task.request.device, *dates) if may_be_done else None
