"""The rules of the simulated world for doors and users' dates, and its broker that loses the session."""

from __future__ import annotations

import json
from typing import Any

import pytest

from torture.simulated.broker import Broker, Heard, Stored
from torture.simulated.callers import Ask, Told, Wish
from torture.simulated.machine import DATE, HERE, STARTED_AT, Machine
from torture.simulated.oracle_dates import judge_dates
from torture.simulated.oracle_doors import judge_doors
from torture.simulated.terminal import Terminal, Written

#: When requests are asked for, and a date ten seconds later.
ASKED = STARTED_AT + 10.0
MOMENT, AT = "2030-03-17T17:47:00", STARTED_AT + 20.0


class SmallWorld:
    """What the rules look at: one terminal, and wishes."""

    def __init__(self, *wishes: Wish) -> None:
        self.machine = HERE.machine = Machine()
        self.machine.now = STARTED_AT + 1000
        self.broker = Broker(lambda _sentence: None)
        self.terminals = {"a": Terminal("a.test", lambda _sentence: None)}
        self.callers = self
        self.wishes = list(wishes)
        self.troubles: list[float] = []
        self.starts: list[float] = []
        self.clock_jumps: list[float] = []
        self.disk = self
        self.failed_at: list[float] = []


def wish(kind: str, command: str, **body: Any) -> Wish:
    """A wish that was asked for once."""
    made = Wish(0, kind, "a", command, body, body.get("user_id", ""), body.get("name", ""))
    made.asks.append(Ask(0, made, ASKED))
    return made


def told(at: float, **body: Any) -> dict[int, list[Told]]:
    """The reply to that message."""
    return {0: [Told(at, "a", json.dumps(body).encode())]}


OPENED = {"status": 200, "code": "unlocked"}
REFUSED = {"status": 408, "code": "expired", "effect": "none"}


@pytest.mark.parametrize(
    ("openings", "reply", "found"),
    [
        ([1.0], OPENED, ""),
        ([], REFUSED, ""),
        ([], OPENED, "request 0 was told that the door of a is open, and it was not"),
        ([1.0], REFUSED, "request 0 opened the door of a, and its answers say expired"),
        ([1.0, 2.0], OPENED, "request 0 opened the door of a 2 times"),
        ([20.0], OPENED, "request 0 opened the door of a 10.0 s too late"),
    ],
)
def test_a_door(openings: list[float], reply: dict[str, Any], found: str) -> None:
    world = SmallWorld(wish("door", "door/unlock", seconds=4, request_id="r0"))
    world.terminals["a"].openings += [(ASKED + after, 4) for after in openings]

    assert "".join(judge_doors(world, told(ASKED + 30.0, **reply))) == found  # type: ignore[arg-type] # as much of a world as is read


def test_a_door_that_nobody_asked_for() -> None:
    world = SmallWorld()
    world.terminals["a"].openings.append((ASKED, 9))

    assert list(judge_doors(world, {})) == ["the door of a was opened for 9 s, which nobody asked for"]  # type: ignore[arg-type] # as much of a world as is read


def dated_world(*states: tuple[float, bool], **dates: str) -> SmallWorld:
    """User 7 with dates, written when it was asked for, and then blocked or let in at these moments."""
    world = SmallWorld(wish("dated", "users/create", user_id="7", name="n0", **dates))
    world.terminals["a"].history += [Written(at, "7", "n0", disabled=True, blocked=blocked) for at, blocked in states]
    return world


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ([(ASKED, False), (AT + 1, True)], ""),
        ([(ASKED, False)], "user 7 on a was not blocked in time, by 970.0 s"),
        ([(ASKED, False), (AT - 5, True)], "user 7 on a was blocked 5 s before a date"),
        ([(ASKED, True)], "user 7 on a was blocked 10 s before a date"),
        ([(ASKED, False), (AT + 1, True), (AT + 60, False)], "user 7 on a was let in 60 s after a date"),
    ],
)
def test_a_user_until_a_date(states: list[tuple[float, bool]], found: str) -> None:
    world = dated_world(*states, valid_from="", valid_until=MOMENT)

    assert "".join(judge_dates(world, "a", set())) == found  # type: ignore[arg-type] # as much of a world as is read


def test_a_date_is_late_while_the_terminal_is_away() -> None:
    world = dated_world((ASKED, False), (AT + 50, True), valid_from="", valid_until=MOMENT)
    world.terminals["a"].times.disturbed += [AT - 5, AT + 40]

    assert list(judge_dates(world, "a", set())) == []  # type: ignore[arg-type] # as much of a world as is read


def test_an_event_before_its_date_is_found() -> None:
    world = dated_world(valid_from="", valid_until=MOMENT)
    event = {"user_id": "7", "reason": "valid_until", "moment": MOMENT, "event": "blocked"}
    world.broker.heard.append(Heard(AT - 7, "zk/a/users/event", json.dumps(event).encode(), None))

    assert list(judge_dates(world, "a", set())) == ["user 7 on a was blocked 7 s before a date"]  # type: ignore[arg-type] # as much of a world as is read


def test_the_date_of_the_tests_is_that_of_the_machine() -> None:
    assert AT - STARTED_AT + DATE == 1_900_000_020.0


def test_a_broker_that_loses_the_session_loses_its_messages() -> None:
    HERE.machine = Machine()
    broker = Broker(lambda _sentence: None)
    broker.queue.append(Stored(1, "zk/a/users/create", b"{}"))
    broker.under_way[1] = Stored(2, "zk/a/users/create", b"{}")

    broker.forget_session()
    broker.publish(Stored(3, "zk/a/users/create", b"{}"))

    assert broker.lost == {1, 2, 3}
    assert not broker.queue
