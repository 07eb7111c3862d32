"""What the soak calls growth, and what it finds wrong; test_soak_leaks.py has daemons that leak."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.caller import Message
from tests.support.memory import MB
from torture.soak_clock import BEGIN, SharedClock
from torture.soak_office import KEPT, Office
from torture.soak_samples import Sample, judge
from torture.soak_school import School
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

#: What stands for a caller: nothing is published.
NOWHERE = type("Nowhere", (), {"send": lambda *_, **__: None})()


def samples(**figures: Callable[[int], float]) -> list[Sample]:
    """600 samples of a daemon that is at rest but for these figures."""
    still: dict[str, Callable[[int], float]] = {
        "resident": lambda at: (60 + math.sin(at)) * MB,
        "objects": lambda at: 230_000 + at % 7 * 9_000,
        "heap": lambda at: (12 + at % 5) * MB,
        "descriptors": lambda at: 80 + at % 3,
        "threads": lambda at: 30 + at % 2,
        "ledger": lambda _: 5 * MB,
        "wal": lambda at: at % 40 * MB / 10,
        "log": lambda at: at * 400,
        "set_aside": lambda _: 0,
        "answered": lambda at: at * 4,
    }
    return [
        Sample(at=at, **{name: int(value(at)) for name, value in {**still, **figures}.items()}) for at in range(600)
    ]


@pytest.mark.parametrize(
    ("name", "figure", "value"),
    [
        ("resident memory, MB", "resident", lambda at: 60 * MB + at * 60_000),
        ("objects at rest, 1,000", "objects", lambda at: 230_000 + at % 7 * 9_000 + at * 50),
        ("heap at rest, MB", "heap", lambda at: (12 + at % 5) * MB + at * 6_000),
        ("descriptors", "descriptors", lambda at: 80 + at // 60),
        ("threads", "threads", lambda at: 30 + at // 60),
        ("ledger, MB", "ledger", lambda at: 5 * MB + at * 2_000),
        ("ledger's WAL, MB", "wal", lambda at: at * 10_000),
        ("log, bytes a request", "log", lambda at: 400 * at + at * at * 3),
        ("set aside", "set_aside", lambda at: at // 100),
    ],
)
def test_a_figure_that_grows_is_reported_and_no_other(name: str, figure: str, value: Callable[[int], float]) -> None:
    assert [one.name for one in judge(samples(**{figure: value})) if one.grows] == [name]


@pytest.mark.parametrize(
    "resident",
    [
        lambda at: (40 + min(at, 200) / 10) * MB,
        lambda at: 60 * MB + 2_000_000 * math.sin(at / 50),
        lambda at: (60 + int(3 * math.log2(1 + at))) * MB,
    ],
    ids=["a start that takes its time", "a figure that rises and falls", "steps that become rarer"],
)
def test_noise_is_no_growth(resident: Callable[[int], float]) -> None:
    assert not [one for one in judge(samples(resident=resident)) if one.grows]


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge(samples()[:10])


@pytest.fixture
def clock(tmp_path: Path) -> SharedClock:
    clock = SharedClock(tmp_path / "clock")
    clock.set(passed=BEGIN.timestamp() - clock.true())
    return clock


def test_two_processes_have_one_clock_and_the_walls_know_of_summer_time(tmp_path: Path, clock: SharedClock) -> None:
    other = SharedClock(tmp_path / "clock")
    clock.set(jump=-3600.0, synchronised=False)

    assert other.fields == clock.fields
    assert other.wall() - other.true() == pytest.approx(-3600, abs=1)
    before = clock.local()
    clock.set(passed=clock.fields[1] + 4 * 86_400)
    assert clock.local() - before == pytest.approx(timedelta(days=4, hours=1), abs=timedelta(seconds=2))


@pytest.fixture
def terminals() -> dict[str, SimulatedTerminal]:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.fill_users(3)
        return {"puerta-0": terminal}


def test_all_people_punch_when_the_bell_rings_on_school_days(
    terminals: dict[str, SimulatedTerminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torture.soak_school.A_SECOND", 1e9)
    monkeypatch.setattr(SimulatedTerminal, "punch", lambda *_, **__: True)
    school = School(terminals, 10, Random(1))
    for hours in range(7 * 24):
        school.step(BEGIN.replace(tzinfo=None) + timedelta(hours=hours))

    days = [datetime.fromisoformat(when).weekday() for _, when, _, _ in school.recorded["puerta-0"]]
    assert {*days} == {0, 1, 2, 3, 4}
    assert 100 <= len(days) <= 130


def reply(topic: str, **body: object) -> Message:
    import json  # noqa: PLC0415 - of this helper alone

    return Message(topic, json.dumps(body).encode(), 0, retain=False, duplicate=False, properties=None)


def test_a_request_with_two_no_or_wrong_answers_is_reported(
    clock: SharedClock, terminals: dict[str, SimulatedTerminal]
) -> None:
    office = Office(Random(1), NOWHERE, terminals, clock)
    for _ in range(4):
        office._ask_create("puerta-0")
    topic = "zk/puerta-0/users/create/reply"
    office.hear(reply(topic, request_id="soak-0", status=200, code="created"))
    office.hear(reply(topic, request_id="soak-1", status=500, code="device_timeout"))
    office.hear(reply(topic, request_id="soak-1", status=500, code="device_timeout", replayed=True))
    office.hear(reply(topic, request_id="soak-2", status=500, code="device_timeout"))
    office.hear(reply(topic, request_id="soak-2", status=409, code="user_exists"))
    office.hear(reply(topic, request_id="soak-3", status=202, code="waiting"))

    twice, never, untrue = sorted(office.findings(), key=lambda each: ("ways" not in each, "never" not in each))
    assert twice.startswith("soak-2 on zk/puerta-0/users/create was answered in 2 ways")
    assert never == "soak-3 on zk/puerta-0/users/create was never answered"
    assert untrue == "user 500001 of puerta-0 is gone and was to be there, until None"
    assert office.again == 1


def test_the_office_deletes_all_users_but_a_few_so_that_tables_do_not_grow(
    clock: SharedClock, terminals: dict[str, SimulatedTerminal]
) -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    caller = type("Kept", (), {"send": lambda _, topic, body, **__: sent.append((topic, body))})()
    office = Office(Random(1), caller, terminals, clock)
    for number in range(KEPT + 3):
        office._ask_create("puerta-0")
        office.hear(reply("zk/puerta-0/users/create/reply", request_id=f"soak-{number}", status=200, code="created"))
    office._ask_dated("puerta-0")
    dated = f"soak-{KEPT + 3}"
    office.hear(reply("zk/puerta-0/users/create/reply", request_id=dated, status=200, code="created"))

    office._ask_delete_many("puerta-0")
    clock.set(passed=clock.fields[1] + 30 * 3600)
    office._ask_delete_many("puerta-0")

    before, after = (body["users"] for topic, body in sent if topic.endswith("/delete-many"))
    assert [row["user_id"] for row in before] == ["500011", "500012", "500013"]
    assert [row["user_id"] for row in after] == ["500014"]  # its date has passed; the three are being deleted


def test_a_document_that_failed_at_its_terminal_is_answered(
    clock: SharedClock, terminals: dict[str, SimulatedTerminal]
) -> None:
    office = Office(Random(1), NOWHERE, terminals, clock)
    office._ask_document("puerta-0")
    office._ask_document("puerta-0")

    office.hear(reply("zk/puerta-0/users/desired/plan", request_id="1", status=500, code="device_rejected"))
    office.hear(reply("zk/puerta-0/users/desired/plan", request_id="1/c57fa0a4", version=2, status=200, code="planned"))

    assert office.answered == 2
