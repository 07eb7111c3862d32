"""The rules of the simulated world for punches, and its logs that are cleared, full, or look shorter than they are."""

from __future__ import annotations

import json
from random import Random

import pytest

from torture.simulated.broker import Heard
from torture.simulated.machine import HERE, Machine
from torture.simulated.oracle_punches import judge_punches
from torture.simulated.punch_log import PunchLog, moment


@pytest.fixture(autouse=True)
def machine() -> Machine:
    """A machine on which nothing runs."""
    HERE.machine = Machine()
    return HERE.machine


def found(log: PunchLog, *numbers: int) -> list[str]:
    """What is found where these punches were published, each under its id."""
    bodies = [{"timestamp": moment(number).isoformat(), "id": f"a/{number}"} for number in numbers]
    heard = [Heard(0.0, "zk/a/attendance/event", json.dumps(body).encode(), None) for body in bodies]
    return list(judge_punches("a", log, heard, may_be_late=False))


def read(log: PunchLog) -> None:
    """The bridge reads the log, and that ends well."""
    log.begin_reading()
    log.table()
    log.end_reading()


def test_unread_punches_need_not_be_published_after_the_log_is_cleared() -> None:
    log = PunchLog(first=3)
    log.add()
    log.clear()
    log.add()

    assert found(log, 4) == []
    assert found(log) == ["1 of 1 punches of a were not published"]


def test_what_was_read_or_acknowledged_before_the_log_was_cleared_is_published() -> None:
    log = PunchLog()
    log.add()
    read(log)
    log.note_arrived(7, log.event_of(log.add() or 0))
    log.note_acknowledged(7)
    log.clear()

    assert found(log, 0, 1) == []
    assert found(log) == ["2 of 2 punches of a were not published"]


def test_an_event_that_arrived_twice_is_acknowledged_twice_and_no_other_is() -> None:
    log = PunchLog()
    doubled, later = log.event_of(log.add() or 0), log.event_of(log.add() or 0)
    for event in (doubled, doubled, later):
        log.note_arrived(7, event)
    for _ in range(2):
        log.note_acknowledged(7)

    assert log.acknowledged == {0}


def test_punches_of_an_unfinished_reading_need_not_be_published_after_the_log_is_cleared() -> None:
    log = PunchLog()
    log.add()
    log.begin_reading()
    log.table()
    log.clear()

    assert found(log) == []


def test_a_punch_from_before_the_first_connection_must_not_be_published() -> None:
    assert found(PunchLog(first=3), 2) == ["1 punches of a were published that were made before, or never"]


@pytest.mark.parametrize(("overwrites", "held", "owed"), [(True, [1, 2], {1, 2}), (False, [0, 1], {0, 1})])
def test_a_full_log_drops_its_oldest_or_takes_no_more(overwrites: bool, held: list[int], owed: set[int]) -> None:
    log = PunchLog(capacity=2, overwrites=overwrites)
    for _ in range(3):
        log.add()

    assert (list(log.records), log.must_be_published()) == (held, owed)


def test_a_place_goes_back_only_after_two_connections_that_counted_fewer() -> None:
    doubted, sure = PunchLog(), PunchLog()
    for log, connections in ((doubted, (1, 1)), (sure, (1, 2))):
        log.move_place(5)
        for connection in connections:
            log.count(connection)
        log.move_place(0)

    assert found(doubted) == ["the place in a log goes back from 5 to 0 on doubt (a)"]
    assert found(sure) == []


def test_logs_of_every_length_are_drawn() -> None:
    """Without punches; short; passing the 200 up to which the bridge reads a log whole; of which it reads the end."""
    drawn = [PunchLog.drawn(Random(seed)) for seed in range(100)]

    assert {log.first for log in drawn} == {0, 3, 25, 190, 300}
    assert any(log.overwrites and 300 < log.capacity < 400 for log in drawn)


def test_a_log_that_is_hidden_looks_shorter_for_a_while(machine: Machine) -> None:
    log = PunchLog(first=3)
    log.hide(2, lasting=5.0)
    assert log.count(1) == 1

    machine.now += 5.0
    assert log.count(1) == 3
