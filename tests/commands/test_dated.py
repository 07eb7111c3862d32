"""Requests with dates that come again: after a crash between the write and the reply, and from an earlier version."""

import json
from typing import Any

import pytest

from tests.commands.test_port_of_lists import PortOfLists, user_of
from zkbridge.commands import Change, Context, commands
from zkbridge.commands.api.dates import UserDates
from zkbridge.config.models import Device
from zkbridge.contract.errors import ClockUntrusted, UserExists
from zkbridge.contract.validity import Validity, instant
from zkbridge.machine.clock import Clock
from zkbridge.port.users import UserFields

DEVICE = Device(id="p", host="192.0.2.1", timezone="America/Lima", validity={"trust_clock": True})
UNSURE = Device(id="p", host="192.0.2.1", timezone="America/Lima")
MOMENT, LATER = "2030-01-31T08:00:00", "2030-02-28T18:00:00"


def context(after_s: float, *, device: Device = DEVICE, synchronised: bool = True, **more: Any) -> Context:
    """The surroundings of a request, so many seconds after MOMENT."""
    now = instant(MOMENT, DEVICE.timezone) + after_s
    clock = Clock(wall=lambda: now, since_start=lambda: 0.0, synchronised=lambda: synchronised)
    return Context(device, dates=UserDates(DEVICE.timezone, clock), clock=clock, **more)


def run(name: str, body: dict[str, Any], port: PortOfLists, surroundings: Context) -> Any:
    command = commands()[name]
    return command.run(port, command.parse(body, strict=True), surroundings)


@pytest.mark.parametrize("was_blocked", [True, False])
def test_a_create_that_a_crash_interrupted_before_its_date_is_a_success_after_it(*, was_blocked: bool) -> None:
    port, surroundings = PortOfLists(), context(10, asked_before=True, tried=({"uid": 2},))
    port.table.append(user_of(2, UserFields("8", "Eva", blocked=was_blocked)))

    body = run("users/create", {"user_id": "8", "name": "Eva", "valid_from": MOMENT}, port, surroundings)

    assert body["data"]["user_id"] == "8"
    assert surroundings.dates.change == ("8", Validity(valid_from=MOMENT)), "it is carried out next"


def test_a_create_that_was_written_before_the_clock_was_lost_is_a_success() -> None:
    port = PortOfLists()
    port.table.append(user_of(2, UserFields("8", "Eva", blocked=True)))
    surroundings = context(-10, device=UNSURE, synchronised=False, asked_before=True, tried=({"uid": 2},))

    body = run("users/create", {"user_id": "8", "name": "Eva", "valid_from": MOMENT}, port, surroundings)

    assert body["data"]["user_id"] == "8"
    assert surroundings.dates.change == ("8", Validity(valid_from=MOMENT))


def test_an_update_whose_clock_was_lost_after_an_earlier_attempt_has_its_dates_kept() -> None:
    port = PortOfLists()
    port.table.append(user_of(2, UserFields("8", "Eva")))
    surroundings = context(-10, device=UNSURE, synchronised=False, asked_before=True)

    with pytest.raises(ClockUntrusted):
        run("users/update", {"user_id": "8", "valid_from": MOMENT}, port, surroundings)

    assert surroundings.dates.change == ("8", Validity(valid_from=MOMENT)), "kept with an effect that is unknown"


def test_another_user_with_that_user_id_is_still_refused() -> None:
    port = PortOfLists()
    port.table.append(user_of(2, UserFields("8", "Luis")))

    with pytest.raises(UserExists):
        run(
            "users/create",
            {"user_id": "8", "name": "Eva", "valid_from": MOMENT},
            port,
            context(10, asked_before=True),
        )


@pytest.mark.parametrize(
    ("body", "after_s", "blocked", "kept"),
    [
        ({"valid_from": MOMENT}, -10, True, Validity(MOMENT)),
        ({"valid_from": MOMENT}, 10, False, None),
        ({"valid_until": MOMENT}, -10, False, Validity(None, MOMENT)),
        ({"valid_until": MOMENT}, 10, True, None),
        ({"valid_from": MOMENT, "valid_until": LATER}, -10, True, Validity(MOMENT, LATER)),
        ({"valid_from": MOMENT, "valid_until": LATER}, 10, False, Validity(None, LATER)),
        ({"blocked": True}, 0, True, None),
        ({}, 0, False, None),
    ],
)
def test_a_new_user_has_the_state_of_the_dates_and_those_to_come_are_kept(
    body: dict[str, Any], after_s: float, *, blocked: bool, kept: Validity | None
) -> None:
    port, surroundings = PortOfLists(), context(after_s)
    change = run("users/create", {"user_id": "8", "name": "Eva", **body}, port, surroundings)
    assert isinstance(change, Change)
    change.apply()

    (user,) = port.table.all_by_user_id("8")
    assert user.blocked is blocked
    assert surroundings.dates.change == (None if kept is None else ("8", kept))


def test_what_an_earlier_user_of_that_id_had_is_not_the_new_one_s() -> None:
    surroundings = context(0)
    surroundings.dates.kept = {"8": Validity(None, LATER)}
    run("users/create", {"user_id": "8", "name": "Eva"}, PortOfLists(), surroundings)

    assert surroundings.dates.change == ("8", Validity())


@pytest.mark.parametrize("name", ["users/create", "users/update"])
def test_a_request_without_them_is_stored_as_earlier_versions_stored_it(name: str) -> None:
    command = commands()[name]
    stored = command.parse({"user_id": "8", "name": "Eva"}, strict=True).stored()

    assert not {"blocked", "valid_from", "valid_until"} & set(json.loads(stored))
    whole = command.parse({"user_id": "8", "name": "Eva", "valid_until": MOMENT}, strict=True)
    assert command.load(whole.stored()) == whole
