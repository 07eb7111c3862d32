"""Makes a Task of a kept request, or answers a request that this version cannot read."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable
from typing import Any, Protocol

from zkbridge.commands import Command
from zkbridge.commands.api.presence import AttendedInteraction
from zkbridge.contract.errors import Internal
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Request
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.surroundings import WorkerHooks
from zkbridge.worker.task import Task

log = logging.getLogger(__name__)


class UnreadableReplies(Protocol):
    """Where the reply to an unreadable request is kept."""

    def keep_unreadable(self, request: Request, reply: Reply, /) -> None:
        """Keep the reply. Raises LedgerUnavailable."""


class TaskMaker:
    """Makes tasks. It remembers when requests arrived; the lock of the RequestQueue guards that."""

    def __init__(
        self, commands: dict[str, Command], *, replies: ReplyMaker, keeper: UnreadableReplies, hooks: WorkerHooks
    ) -> None:
        self._commands = commands
        self._replies = replies
        self._keeper = keeper
        self._hooks = hooks
        self._arrived: dict[int, float] = {}

    def note_arrival(self, requests: Iterable[Request]) -> None:
        """These requests arrived just now."""
        self._arrived.update(dict.fromkeys((request.id for request in requests), time.monotonic()))

    def make(self, request: Request) -> Task | None:
        """The task of a request; None for a request that this version cannot read, after it was answered."""
        command = self._commands[request.command]
        arrived = self._arrived.pop(request.id, None)
        try:
            params = command.load(request.params)
        except ValueError:
            error_id = secrets.token_hex(4)
            log.exception("request=%d error_id=%s what was kept cannot be read", request.id, error_id)
            self._keeper.keep_unreadable(request, self._replies.failed(request, Internal(error_id)))
            return None
        asked = bool(request.tried)
        task = Task(request, command, params, asked=asked, tried=request.tried, arrived=arrived, begun=asked)
        if command.attended:
            task.presence = AttendedInteraction(_Progress(request, self._replies, self._hooks))
        return task


class _Progress:
    """Publishes the progress of one attended request."""

    def __init__(self, request: Request, replies: ReplyMaker, hooks: WorkerHooks) -> None:
        self._request = request
        self._replies = replies
        self._hooks = hooks

    def __call__(self, step: str, /, **facts: Any) -> None:
        request = self._request
        self._hooks.publish_progress(request.device, request.command, self._replies.progress(request, step, facts))
