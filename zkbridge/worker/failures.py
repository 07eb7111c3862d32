"""Settles the requests in hand when a conversation has failed and is not tried again."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable

from zkbridge.config.models import Device
from zkbridge.contract.errors import Internal, TerminalError
from zkbridge.runtime.thread_pool import PacedLock
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.worker.catch_up import CatchUp
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.reply_keeper import ReplyKeeper
from zkbridge.worker.request_queue import RequestQueue
from zkbridge.worker.task import Task
from zkbridge.worker.terminal_facts import TerminalFacts
from zkbridge.worker.verifier import Verifier

log = logging.getLogger(__name__)


class FailureHandler:
    """Answers the requests in hand, or has them wait for the terminal, after a failure.

    `gate` is held while the requests of a terminal that is away are answered: terminals that fail together are
    answered one after the other, with time for the requests of those that work.
    """

    def __init__(
        self,
        device: Device,
        *,
        requests: RequestQueue,
        facts: TerminalFacts,
        waiting: CatchUp,
        replies: ReplyMaker,
        keeper: ReplyKeeper,
        verifier: Verifier,
        gate: PacedLock,
    ) -> None:
        self._device = device
        self._requests = requests
        self._facts = facts
        self._waiting = waiting
        self._replies = replies
        self._keeper = keeper
        self._verifier = verifier
        self._gate = gate

    def fail_all(self, failure: TerminalError, deadline: Deadline, *, alone: bool) -> None:
        """A conversation failed for good, and so does everything that waits, save what may wait for the terminal.

        `alone`: only what is in hand was to have a part in it. What the terminal was asked for is looked for there
        first. Raises Interrupted when the bridge stops.
        """
        self._facts.note_failure(failure)
        attended = any(task.command.attended and task.asked for task in self._requests.in_hand)
        if not alone and not attended:  # the time that a person had says nothing about the requests of others
            self._requests.take_all()
        if not self._requests.in_hand:
            self._facts.note_unasked_failure(failure)
        with self._gate:
            self._fail((task for task in self._requests.in_hand if not task.asked), failure)
            self._keeper.keep_answered(self._requests)
        self._verifier.settle(self._requests.in_hand, deadline)
        self._fail(self._requests.in_hand, failure)
        self._keeper.keep_answered(self._requests)

    def handle_internal_error(self, fault: Exception) -> None:
        """Answer the requests in hand with `internal`; what the terminal was asked for is tried once more before."""
        error_id = secrets.token_hex(4)
        log.error("device=%s error_id=%s a fault of the bridge's own", self._device.id, error_id, exc_info=fault)
        for task in self._requests.in_hand:
            if task.asked and not task.hit_by_fault:
                task.hit_by_fault = True
            elif task.is_open:
                task.reply = self._replies.failed(task.request, Internal(error_id))
        self._keeper.keep_answered(self._requests)

    def _fail(self, tasks: Iterable[Task], failure: TerminalError) -> None:
        for task in tasks:
            if task.is_open:
                failure.effect = "unknown" if task.asked else "none"
                task.parked = self._waiting.waiting_reply(task, failure)
                if task.parked is None:
                    task.reply = self._replies.failed(task.request, failure)
