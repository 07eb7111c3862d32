"""Which request another one ends, and what both are told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from zkbridge.commands import Command, Context
from zkbridge.commands.registry import Ends
from zkbridge.config.models import Device
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Request
from zkbridge.worker.task import Task


class Endings:
    """The requests of one device that end others. The lock of its worker guards every call.

    `succeeded` and `failed` make a task's reply, `make` makes a task of a request (None where it cannot be read any
    more, and was answered), `reply_of` finds the reply of a request that is answered.
    """

    def __init__(
        self,
        device: Device,
        commands: dict[str, Command],
        *,
        succeeded: Callable[[Task, dict[str, Any]], Reply],
        failed: Callable[[Task, BridgeError], Reply],
        make: Callable[[Request], Task | None],
        reply_of: Callable[[int], Reply | None],
    ) -> None:
        self._device = device
        self._commands = commands
        self._succeeded = succeeded
        self._failed = failed
        self._make = make
        self._reply_of = reply_of
        self._enders: dict[int, list[Task]] = {}

    def begin(self, request: Request, ends: Ends, in_hand: list[Task], queue: deque[Request]) -> list[Task]:
        """Find what a request is to end, and end it; the tasks that are answered by that.

        What has begun is told to end, and answered when it has, together with this one. What only waits for its turn,
        or for the terminal to be reached, is taken out and answered now; but if an earlier run has begun it, the
        terminal must be asked first.
        """
        ender = self._make(request)
        if ender is None:
            return []
        suspect = request.suspect_of
        if suspect is not None and (earlier := self._reply_of(suspect)) is not None:
            ender.reply, ender.replayed = earlier, True  # a broker may have brought it twice
            return [ender]
        for task in in_hand:
            if task.command.name == ends.command and not task.closed and ender.params.ends(task.params):
                self._enders.setdefault(task.request.id, []).append(ender)
                task.presence.end(ends.error)
                if task.begun:
                    return []
                in_hand.remove(task)
                task.closed = True
                return self._end_now(replace(task), ends)  # whoever reaches for the terminal still holds the other
        for waiting in queue:
            if waiting.command == ends.command and self._is_meant(ender, waiting):
                self._enders.setdefault(waiting.id, []).append(ender)
                return [] if waiting.tried else self._take_out(waiting, ends, queue)
        self._answer(ender, None)
        return [ender]

    def _is_meant(self, ender: Task, waiting: Request) -> bool:
        try:
            return ender.params.ends(self._commands[waiting.command].load(waiting.params))
        except ValueError:
            return False  # it cannot be read any more, and is told so when its turn comes

    def _take_out(self, waiting: Request, ends: Ends, queue: deque[Request]) -> list[Task]:
        queue.remove(waiting)
        ended = self._make(waiting)
        return [] if ended is None else self._end_now(ended, ends)

    def _end_now(self, ended: Task, ends: Ends) -> list[Task]:
        ended.reply = self._failed(ended, ends.error())
        return [ended, *self.answer_with(ended)]

    def meet(self, task: Task) -> None:
        """A task is taken in hand: it hears if somebody wanted it ended before."""
        for ender in self._enders.get(task.request.id, []):
            if ender.command.ends is not None:
                task.presence.end(ender.command.ends.error)

    def answer_with(self, task: Task) -> list[Task]:
        """Those who wanted to end a task that is answered now, with their answers: it can be ended no more."""
        task.closed = True
        enders = self._enders.pop(task.request.id, [])
        for ender in enders:
            self._answer(ender, task)
        return enders

    def _answer(self, ender: Task, ended: Task | None) -> None:
        """Only what was answered as ended was ended: it may have come to its own end a moment before."""
        ends = ender.command.ends
        if ends is None:
            return
        was_ended = ended is not None and ended.reply is not None and ended.reply.code == ends.error.code
        try:
            body = ends.answer(ended.params if ended and was_ended else None, ender.params, Context(self._device))
        except BridgeError as refusal:
            ender.reply = self._failed(ender, refusal)
        else:
            ender.reply = self._succeeded(ender, body)
