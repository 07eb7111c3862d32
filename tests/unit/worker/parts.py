"""Requests and stand-ins for the tests of the worker's parts: no daemon, no terminal, no ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from zkbridge.commands import Change, commands
from zkbridge.config.models import Config
from zkbridge.contract.validity import Validity
from zkbridge.ledger.records import Request, ValidityChange
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.task import Task

CONFIG = Config.model_validate({"devices": {"p": {"host": "192.0.2.1"}}})
DEVICE = CONFIG.devices["p"]
REPLIES = ReplyMaker(CONFIG)
COMMANDS = commands()

CREATE, LIST, PING, UNLOCK = "users/create", "users/list", "ping", "door/unlock"
ENROLL, CANCEL = "users/enroll-finger", "users/enroll-finger/cancel"
_FIELDS: dict[str, dict[str, Any]] = {
    CREATE: {"user_id": "7", "name": "Ana"},
    ENROLL: {"user_id": "7", "finger_index": 3},
    CANCEL: {"user_id": "7", "finger_index": 3},
}


def request(number: int, command: str = CREATE, *, fields: dict[str, Any] | None = None, **more: Any) -> Request:
    """Make a request that was kept; `more` are further fields of Request."""
    given = _FIELDS.get(command, {}) | (fields or {})
    return Request(number, "p", command, f"r{number}", json.dumps(given).encode(), 0.0, **more)


def make(asked: Request) -> Task:
    """Make the task of a request as TaskMaker does."""
    command = COMMANDS[asked.command]
    begun = bool(asked.tried)
    return Task(asked, command, command.load(asked.params), asked=begun, tried=asked.tried, begun=begun, arrived=0.0)


def task(number: int = 1, command: str = CREATE, *, run: Any = None, **more: Any) -> Task:
    """Make a task; `run` stands for the command's function and is its result, or the exception that it raises."""
    made = make(request(number, command, **more))
    if run is not None:
        made.command = made.command._replace(run=_returning(run))
    return made


def change(**more: Any) -> Change:
    """Make a change that the terminal is asked for."""
    return Change(intent={"uid": 1}, apply=lambda: {"data": {}}, **more)


class Tasks:
    """Makes tasks, as TaskMaker does. `arrived` are the ids whose arrival was noted."""

    def __init__(self) -> None:
        self.arrived: list[int] = []

    def note_arrival(self, requests: Any) -> None:
        self.arrived += [each.id for each in requests]

    def make(self, asked: Request) -> Task:
        return make(asked)


class NoDates:
    """No user has dates. `noted` holds what requests have changed of them."""

    def __init__(self) -> None:
        self.kept: dict[str, Validity] = {}
        self.noted: list[ValidityChange] = []

    def note(self, changes: Iterable[ValidityChange]) -> None:
        self.noted += changes


class Stored:
    """Replies of earlier requests, by id."""

    def __init__(self, replies: dict[int, Any] | None = None) -> None:
        self.replies = replies or {}

    def reply_of(self, number: int) -> Any:
        return self.replies.get(number)


def _returning(result: Any) -> Any:
    def run(_session: Any, _params: Any, _context: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    return run
