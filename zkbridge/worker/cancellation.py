"""Finds which request another one cancels, and makes the replies to both."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Protocol

from zkbridge.commands import Command, Context
from zkbridge.commands.api.registry import Ends
from zkbridge.config.models import Device
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Request
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.task import Task


class TaskSource(Protocol):
    """Makes the tasks of requests."""

    def make(self, request: Request, /) -> Task | None:
        """The task; None for a request that cannot be read, after it was answered."""


class StoredReplies(Protocol):
    """The replies of earlier requests."""

    def reply_of(self, request: int, /) -> Reply | None:
        """The reply of a request that was answered; None for any other."""


class Cancellation:
    """The requests of one device that cancel others. The lock of the RequestQueue guards every call."""

    def __init__(
        self,
        device: Device,
        commands: dict[str, Command],
        *,
        replies: ReplyMaker,
        tasks: TaskSource,
        stored: StoredReplies,
    ) -> None:
        self._device = device
        self._commands = commands
        self._replies = replies
        self._tasks = tasks
        self._stored = stored
        self._cancellers: dict[int, list[Task]] = {}

    def begin(self, request: Request, ends: Ends, in_hand: list[Task], queue: deque[Request]) -> list[Task]:
        """Find the request that this one is to cancel, and cancel it; return the tasks that have their reply now.

        A request that has begun is only asked to end; both are answered when it has ended. A request that waits, for
        its turn or for the terminal to be reached, is taken out and answered now; but if an earlier run has begun it,
        the terminal must be asked first.
        """
        canceller = self._tasks.make(request)
        if canceller is None:
            return []
        suspect = request.suspect_of
        if suspect is not None and (earlier := self._stored.reply_of(suspect)) is not None:
            canceller.reply, canceller.replayed = earlier, True  # a broker may have delivered it twice
            return [canceller]
        for task in in_hand:
            if task.command.name == ends.command and not task.closed and canceller.params.ends(task.params):
                self._cancellers.setdefault(task.request.id, []).append(canceller)
                task.presence.end(ends.error)
                if task.begun:
                    return []
                in_hand.remove(task)
                task.closed = True
                return self._cancel(replace(task), ends)  # the worker's thread may still hold the other one
        for waiting in queue:
            if waiting.command == ends.command and self._is_meant(canceller, waiting):
                self._cancellers.setdefault(waiting.id, []).append(canceller)
                return [] if waiting.tried else self._take_out(waiting, ends, queue)
        self._answer(canceller, None)
        return [canceller]

    def note_in_hand(self, task: Task) -> None:
        """A task is taken in hand: ask it to end if its cancellation came before."""
        for canceller in self._cancellers.get(task.request.id, []):
            if canceller.command.ends is not None:
                task.presence.end(canceller.command.ends.error)

    def answer_with(self, task: Task) -> list[Task]:
        """The requests that were to cancel a task that has its reply now, with theirs: it is closed from here on."""
        task.closed = True
        cancellers = self._cancellers.pop(task.request.id, [])
        for canceller in cancellers:
            self._answer(canceller, task)
        return cancellers

    def _is_meant(self, canceller: Task, waiting: Request) -> bool:
        try:
            return canceller.params.ends(self._commands[waiting.command].load(waiting.params))
        except ValueError:
            return False  # it cannot be read any more, and is answered so when its turn comes

    def _take_out(self, waiting: Request, ends: Ends, queue: deque[Request]) -> list[Task]:
        queue.remove(waiting)
        cancelled = self._tasks.make(waiting)
        return [] if cancelled is None else self._cancel(cancelled, ends)

    def _cancel(self, cancelled: Task, ends: Ends) -> list[Task]:
        cancelled.reply = self._replies.failed(cancelled.request, ends.error())
        return [cancelled, *self.answer_with(cancelled)]

    def _answer(self, canceller: Task, cancelled: Task | None) -> None:
        """Whether the request was cancelled: it may have ended by itself a moment before."""
        ends = canceller.command.ends
        if ends is None:
            return
        was_cancelled = (
            cancelled is not None and cancelled.reply is not None and cancelled.reply.code == ends.error.code
        )
        try:
            params = cancelled.params if cancelled and was_cancelled else None
            body = ends.answer(params, canceller.params, Context(self._device))
        except BridgeError as refusal:
            canceller.reply = self._replies.failed(canceller.request, refusal)
        else:
            canceller.reply = self._replies.succeeded(canceller, body)
