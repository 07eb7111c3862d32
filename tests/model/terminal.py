"""The worker's decisions about one terminal that is a list: the real planner, commands and verifier, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.commands.test_port_of_lists import PortOfLists, Table, user_of
from tests.unit.worker.parts import CONFIG, NoDates, Stored
from zkbridge.commands import Change, commands
from zkbridge.config.models import Device
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Request
from zkbridge.port.users import User, UserFields, UserRecord
from zkbridge.worker.planner import Planned, Planner
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.session_state import SessionState, Written
from zkbridge.worker.task import Task
from zkbridge.worker.verifier import Verifier

DEVICE = Device(id="p", host="192.0.2.1", door={"enabled": True, "trust_clock": True})
REPLIES = ReplyMaker(CONFIG)
COMMANDS = commands()


class Held(NamedTuple):
    """What the terminal holds: uid, user_id and name of each user, how often its door was opened, and its state."""

    users: tuple[tuple[int, str, str], ...] = ()
    opened: int = 0
    disabled: bool = False


class Hand(NamedTuple):
    """A request as the worker has it: whether the terminal was asked, what for, and whether an earlier run kept it."""

    request: int
    asked: bool = False
    tried: tuple[str, ...] = ()
    resumed: bool = False


class _Users(Table):
    """A table that knows which uids were chosen for whom."""

    def __init__(self, users: Sequence[User]) -> None:
        super().__init__(users)
        self._reserved: dict[int, str] = {}

    def reserve(self, uid: int, user_id: str) -> None:
        self._reserved[uid] = user_id

    def is_reserved(self, uid: int, user_id: str) -> bool:
        return self._reserved.get(uid, user_id) != user_id

    def next_uid(self) -> int:
        return max(super().next_uid(), 1 + max(self._reserved, default=0))


class Port(PortOfLists):
    """A terminal that holds what it is given."""

    device = DEVICE

    def __init__(self, held: Held) -> None:
        super().__init__()
        self.hold(held)

    def hold(self, held: Held) -> None:
        """Be as a terminal is now."""
        self.table = _Users([user_of(uid, UserFields(user_id, name)) for uid, user_id, name in held.users])
        self.opened = [1] * held.opened

    def add_user(self, fields: UserFields, uid: int) -> UserRecord:
        """A user who is written under the uid of another one takes that one's place."""
        self.table[:] = [user for user in self.table if user.uid != uid]
        return super().add_user(fields, uid)

    def held(self, *, disabled: bool) -> Held:
        """What it holds now."""
        return Held(tuple((user.uid, user.user_id, user.name) for user in self.table), len(self.opened), disabled)

    def refresh(self) -> None:
        """What was written counts."""

    def count(self) -> int:
        return len(self.table)


class Plan(NamedTuple):
    """What is to be done in one session: changes to ask for, replies at once, and the requests for another session."""

    changes: tuple[tuple[int, str], ...]  #: requests with their intents
    replies: tuple[tuple[int, Reply, bool], ...]  #: requests with their replies, and whether each is a stored one
    later: tuple[int, ...]


class Decisions:
    """Plans and carries out; everything is worked out anew from values, as often as it is asked for."""

    def __init__(self, now: Callable[[], float], reply_of: Callable[[int], Reply | None]) -> None:
        self._now = now
        self._reply_of = reply_of

    def plan(self, held: Held, requests: Sequence[tuple[Request, Hand]]) -> Plan:
        """What the real planner decides about requests in one session."""
        planned, tasks, _ = self._planned(Port(held), requests)
        return Plan(
            tuple((each.task.request.id, json.dumps(each.change.intent)) for each in planned),
            tuple((each.request.id, each.reply, each.replayed) for each in tasks if each.reply is not None),
            tuple(each.request.id for each in tasks if each.reply is None and each not in [p.task for p in planned]),
        )

    def apply(self, at_plan: Held, now: Held, requests: Sequence[tuple[Request, Hand]], wanted: int) -> Held:
        """The terminal after one change of a plan that was made when it held `at_plan`."""
        port = Port(at_plan)
        planned, _, _ = self._planned(port, requests)
        port.hold(now)
        for each in planned:
            if each.task.request.id == wanted:
                each.change.apply()
        return port.held(disabled=now.disabled)

    def confirm(
        self, at_plan: Held, now: Held, requests: Sequence[tuple[Request, Hand]], done: Sequence[int]
    ) -> dict[int, Reply]:
        """The replies to changes that the terminal has confirmed, as the real verifier makes them."""
        port = Port(at_plan)
        planned, _, state = self._planned(port, requests)
        verifier = Verifier(DEVICE, replies=REPLIES, planner=self._planner(), access=None)
        for task, change in planned:
            if task.request.id in done:
                self._note_written(state, task, change)
        port.hold(now)
        state.count_before = None  # the table is read, as after every change that the count cannot show
        session: Any = port  # of a session it asks only what the port has
        verifier.confirm(session, state)
        return {each.request.id: each.reply for each, _ in planned if each.reply is not None}

    def _note_written(self, state: SessionState, task: Task, change: Change) -> None:
        body = change.apply()
        if task.command.disables:
            state.written.append(Written(task, change, body))
        else:
            task.reply = REPLIES.succeeded(task, body)

    def _planned(
        self, port: Port, requests: Sequence[tuple[Request, Hand]]
    ) -> tuple[list[Planned], list[Task], SessionState]:
        state = SessionState(disables=True)
        tasks = [_task(request, hand) for request, hand in requests]
        session: Any = port
        planned, _ = self._planner().plan_all(session, state, tasks)
        return planned, tasks, state

    def _planner(self) -> Planner:
        stored: Any = Stored()
        stored.reply_of = self._reply_of
        clock: Any = SimpleNamespace(now=self._now)
        return Planner(DEVICE, replies=REPLIES, stored=stored, clock=clock, dates=NoDates())


def _task(request: Request, hand: Hand) -> Task:
    """As TaskMaker makes it; of a request of this run it is known when it arrived."""
    command = COMMANDS[request.command]
    tried = tuple(json.loads(each) for each in hand.tried)
    arrived = None if hand.resumed else time.monotonic()
    return Task(request, command, command.load(request.params), asked=hand.asked, tried=tried, arrived=arrived)
