"""What is known of a terminal: learnt from what happens, told when it changes, kept over a restart."""

import json
from typing import NamedTuple

import pytest

from zkbridge.homeassistant.status import STATUS, Status, Statuses
from zkbridge.telemetry.events import Answered, ClockRead, Counted, Created, Identified, Trouble


class Facts(NamedTuple):
    """What an earlier run has kept of `principal`."""

    kept: str | None = None

    def recall(self, subject: str, name: str, /) -> str | None:
        return self.kept if (subject, name) == ("principal", STATUS) else None


AWAY = Trouble("principal", "device_timeout", "Connection timeout to device 192.0.2.1:4370", probe=True)
ASKED = Trouble("principal", AWAY.code, AWAY.error)
FULL = Counted("principal", 37, 3000, 2963)


@pytest.fixture
def clock() -> list[float]:
    return [1_900_000_000.0]


@pytest.fixture
def statuses(clock: list[float]) -> Statuses:
    return Statuses(Facts(), clock=lambda: clock[0])


def test_nothing_is_known_before_anything_happens(statuses: Statuses) -> None:
    assert statuses.of("principal").body == (
        b'{"users":null,"users_capacity":null,"users_free":null,"last_error":null,"last_user":null,'
        b'"device_name":null,"serialnumber":null,"firmware_version":null,"clock_drift_s":null,"lock":null}'
    )


def test_a_change_is_published_once(statuses: Statuses) -> None:
    assert statuses.hear(FULL)
    assert not statuses.hear(FULL)
    assert statuses.hear(Created("principal", "123"))
    assert statuses.hear(ASKED)
    assert not statuses.hear(Answered("principal", "ping", "ok", 0.1))

    assert (
        json.loads(statuses.of("principal").body).items()
        >= {
            "users": 37,
            "users_capacity": 3000,
            "users_free": 2963,
            "last_error": {"code": AWAY.code, "error": AWAY.error, "at": "2030-03-17T17:46:40+00:00"},
            "last_user": {"user_id": "123", "at": "2030-03-17T17:46:40+00:00"},
        }.items()
    )
    assert statuses.of("entrada") == Status()


def test_a_terminal_that_does_not_report_its_counts_keeps_the_known_ones(statuses: Statuses) -> None:
    statuses.hear(FULL)

    assert not statuses.hear(Counted("principal", None, None, None))
    assert statuses.of("principal").users == 37


#: What a terminal says of itself, one time after the other: serial number, name, firmware; and what is known then.
TOLD = {
    "all": ([("A1", "K40", "6.60")], ("A1", "K40", "6.60")),
    "nothing": ([("", "", "")], (None, None, None)),
    "an update": ([("A1", "K40", "6.60"), ("A1", "K40", "6.70")], ("A1", "K40", "6.70")),
    "less than before": ([("A1", "K40", "6.60"), ("A1", "", "")], ("A1", "K40", "6.60")),
    "no serial number this time": ([("A1", "K40", "6.60"), ("", "K40", "6.70")], ("A1", "K40", "6.70")),
    "another terminal that says less": ([("A1", "K40", "6.60"), ("B2", "", "")], ("B2", None, None)),
    "what drives a screen": ([("A\x1b1", "", "")], ("A\\u001b1", None, None)),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_a_terminal_reports_of_itself_is_kept(statuses: Statuses, case: str) -> None:
    told, known = TOLD[case]
    for each in told:
        statuses.hear(Identified("principal", *each))

    status = statuses.of("principal")
    assert (status.serialnumber, status.device_name, status.firmware_version) == known


#: How far a clock in whole seconds was off, one time after the other; and what is told in the end.
DRIFTS = {
    "exact, just ticked": ([0.0 - 0.01], 0),
    "exact, about to tick": ([-0.99], 0),
    "ahead": ([119.5], 120),
    "behind": ([-60.5], -60),
    "its noise is no change": ([119.5, 118.5, 120.5], 120),
    "it goes on drifting": ([119.5, 120.5, 121.5], 122),
    "set right": ([1.5, -0.5], 0),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_a_clock_in_whole_seconds_does_not_change_back_and_forth(statuses: Statuses, case: str) -> None:
    read, told = DRIFTS[case]
    for each in read:
        statuses.hear(ClockRead("principal", each))

    assert statuses.of("principal").clock_drift_s == told


def test_a_terminal_that_stays_away_is_one_error_however_often_it_is_probed(
    statuses: Statuses, clock: list[float]
) -> None:
    assert statuses.hear(AWAY)
    clock[0] += 300
    assert not statuses.hear(AWAY)

    assert statuses.of("principal").last_error.at == "2030-03-17T17:46:40+00:00"


def test_a_terminal_that_goes_away_again_is_an_error_again(statuses: Statuses, clock: list[float]) -> None:
    statuses.hear(AWAY)
    statuses.hear(Counted("principal", None, None, None))
    clock[0] += 300

    assert statuses.hear(AWAY)
    assert statuses.of("principal").last_error.at == "2030-03-17T17:51:40+00:00"


def test_every_request_that_fails_is_an_error_of_its_own(statuses: Statuses, clock: list[float]) -> None:
    statuses.hear(AWAY)
    clock[0] += 1

    assert statuses.hear(ASKED)


@pytest.mark.parametrize("events", [[], [FULL], [FULL, ASKED, Created("principal", "007")]])
def test_what_was_known_is_known_after_a_restart(statuses: Statuses, events: list[Counted | Created | Trouble]) -> None:
    for event in events:
        statuses.hear(event)
    kept = statuses.of("principal").body.decode()

    assert Statuses(Facts(kept)).of("principal") == statuses.of("principal")


@pytest.mark.parametrize("kept", ["", "nonsense", "[]", "null", "{}", '{"users":1,"last_error":3,"last_user":null}'])
def test_what_cannot_be_read_any_more_is_not_known(kept: str) -> None:
    assert Statuses(Facts(kept)).of("principal") == Status()
