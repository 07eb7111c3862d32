"""The rules of the simulated world for doors and users' dates, and its broker that loses the session."""

from __future__ import annotations

import json
from typing import Any

import pytest

from torture.simulated.broker import Broker, Heard, Stored
from torture.simulated.callers import Ask, Told, Wish
from torture.simulated.machine import DATE, HERE, STARTED_AT, Machine
from torture.simulated.oracle_dates import Run, judge_dates
from torture.simulated.oracle_doors import judge_doors
from torture.simulated.oracle_times import LIMIT_S, judge_times
from torture.simulated.terminal import Terminal
from torture.simulated.user_record import Written

#: When requests are asked for, and a date ten seconds later.
ASKED = STARTED_AT + 10.0
MOMENT, AT = "2030-03-17T17:47:00", STARTED_AT + 20.0


def a_terminal() -> Terminal:
    return Terminal("a.test", lambda _sentence: None)


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
    asked, terminal = wish("door", "door/unlock", seconds=4, request_id="r0"), a_terminal()
    terminal.openings += [(ASKED + after, 4) for after in openings]

    assert "".join(judge_doors({"a": terminal}, [asked], told(ASKED + 30.0, **reply))) == found


def test_a_success_that_came_before_the_door_opened() -> None:
    asked, terminal = wish("door", "door/unlock", seconds=4, request_id="r0"), a_terminal()
    terminal.openings.append((ASKED + 5, 4))

    assert list(judge_doors({"a": terminal}, [asked], told(ASKED + 1, **OPENED))) == [
        "request 0 was told that the door of a is open, and it was not"
    ]


@pytest.mark.parametrize(
    ("more", "found"), [({}, []), ({"request_id": "r0"}, ["request 0 opened the door of a 2 times"])]
)
def test_a_door_that_two_messages_asked_for(more: dict[str, str], found: list[str]) -> None:
    asked, terminal = wish("door", "door/unlock", seconds=4, **more), a_terminal()
    asked.asks.append(Ask(1, asked, ASKED + 1))
    terminal.openings += [(ASKED + 2, 4), (ASKED + 3, 4)]

    assert list(judge_doors({"a": terminal}, [asked], {})) == found


def test_a_door_that_nobody_asked_for() -> None:
    terminal = a_terminal()
    terminal.openings.append((ASKED, 9))

    assert list(judge_doors({"a": terminal}, [], {})) == ["the door of a was opened for 9 s, which nobody asked for"]


def dated(*states: tuple[float, bool]) -> tuple[Terminal, Run]:
    """User 7 until a date, written when it was asked for, and then blocked or let in at these moments."""
    asked, terminal = (
        wish("dated", "users/create", user_id="7", name="n0", valid_from="", valid_until=MOMENT),
        a_terminal(),
    )
    terminal.history += [Written(at, "7", "n0", disabled=True, blocked=blocked) for at, blocked in states]
    return terminal, Run([asked], ended=STARTED_AT + 1000)


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
    assert "".join(judge_dates("a", *dated(*states), set())) == found


def test_a_date_is_late_while_the_terminal_is_away() -> None:
    terminal, run = dated((ASKED, False), (AT + 50, True))
    terminal.times.disturbed += [AT - 5, AT + 40]

    assert list(judge_dates("a", terminal, run, set())) == []


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ((AT - 60, AT - 1), False),
        ((AT - 60, AT + 60), True),
        ((AT - 2, AT + 60), False),  # the attempt may have begun while the clock was right
    ],
)
def test_a_date_that_is_carried_out_while_the_clock_is_not_synchronised(
    wrong: tuple[float, float], found: bool
) -> None:
    terminal, run = dated((ASKED, False), (AT + 1, True))

    assert list(judge_dates("a", terminal, run._replace(clock_wrong=[wrong]), set())) == (
        ["user 7 on a was blocked by a date while the clock was not synchronised"] if found else []
    )


@pytest.mark.parametrize(
    ("after", "troubles", "away", "found"),
    [
        (LIMIT_S, [], [], False),
        (LIMIT_S + 1, [], [], True),
        (LIMIT_S + 1, [ASKED + 9], [], False),
        (LIMIT_S + 9, [ASKED + 1, ASKED + LIMIT_S + 8], [], True),
        (LIMIT_S + 9, [], [(ASKED + 1, ASKED + LIMIT_S + 8)], False),
    ],
    ids=["in time", "late", "after a trouble", "between two troubles", "without a broker"],
)
def test_an_answer_comes_in_time(
    after: float, troubles: list[float], away: list[tuple[float, float]], found: bool
) -> None:
    asked = wish("create", "users/create", user_id="7", name="n0")
    replies = told(ASKED + after, status=200, code="created")

    assert bool(list(judge_times({"a": a_terminal()}, asked.asks, replies, troubles, away))) is found


def test_an_update_without_dates_leaves_the_date_as_it_is() -> None:
    terminal, run = dated((ASKED, False))
    terminal.history.append(Written(ASKED + 2, "7", "n1", disabled=True))
    run = run._replace(wishes=[*run.wishes, wish("update", "users/update", user_id="7", name="n1")])

    assert list(judge_dates("a", terminal, run, set())) == ["user 7 on a was not blocked in time, by 970.0 s"]


def test_an_event_of_a_date_that_nobody_asked_for_is_found() -> None:
    terminal, run = dated()
    event = {"user_id": "7", "reason": "valid_from", "moment": MOMENT, "event": "blocked"}
    run = run._replace(heard=[Heard(AT + 1, "zk/a/users/event", json.dumps(event).encode(), None)])

    assert list(judge_dates("a", terminal, run, set())) == [
        f"an event of a names a date that nobody asked for: {event}"
    ]


def test_an_event_before_its_date_is_found() -> None:
    terminal, run = dated()
    event = {"user_id": "7", "reason": "valid_until", "moment": MOMENT, "event": "blocked"}
    run = run._replace(heard=[Heard(AT - 7, "zk/a/users/event", json.dumps(event).encode(), None)])

    assert list(judge_dates("a", terminal, run, set())) == ["user 7 on a was blocked 7 s before a date"]


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
