"""A bridge of a fleet dies in the middle, and one that stands by takes its terminals over."""

from pathlib import Path
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.support.waiting import wait_until


def ask_all(fleet: Fleet, users: list[str]) -> dict[str, Any]:
    """Every user on every terminal, through both brokers in turn; the requests' ids with their device."""
    asked = {}
    for number, user in enumerate(users):
        for place, device in enumerate(fleet.ids):
            request_id = f"{user}-{device}"
            ask_again(fleet, request_id, device, by=(number + place) % 2)
            asked[request_id] = device
    return asked


def ask_again(fleet: Fleet, request_id: str, device: str, *, by: int = 1) -> None:
    user = request_id.partition("-")[0]
    fleet.ask(device, "users/create", {"user_id": user, "name": f"User {user}", "request_id": request_id}, by=by)


def kill_in_the_middle(fleet: Fleet, asked: dict[str, Any]) -> None:
    """`kill -9` of the first bridge, as soon as it has answered something but not all."""
    own = {request for request, device in asked.items() if device.startswith("b0-")}
    wait_until(lambda: own & fleet.answers(0).keys(), timeout=120, what="the first answer")
    fleet.daemons[0].kill()


@pytest.mark.parametrize("ledger", ["shared", "copied"])
def test_a_standby_with_the_ledger_loses_and_doubles_no_user(tmp_path: Path, ledger: str) -> None:
    with Fleet(tmp_path, bridges=2, terminals=3) as fleet:
        take_over(fleet, ledger=ledger, before=["1", "2", "3"], after=["4"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_hundred_terminals_outlive_a_bridge(tmp_path: Path) -> None:
    with Fleet(tmp_path, bridges=3, terminals=100) as fleet:
        take_over(fleet, ledger="shared", before=["1", "2"], after=["3"])


def take_over(fleet: Fleet, *, ledger: str, before: list[str], after: list[str]) -> None:
    """Create users everywhere, kill a bridge on the way, have the standby go on, and look at everything."""
    asked = ask_all(fleet, before)
    kill_in_the_middle(fleet, asked)
    asked |= ask_all(fleet, after)  # those for the dead bridge's terminals wait at its broker
    with fleet.standby(0, ledger=ledger):
        for by in (0, 1):
            answers = fleet.wait_for(set(asked), by=by)
            for request, device in asked.items():
                told = [{key: each[key] for key in each if key != "replayed"} for each in answers[request]]
                # Not confirmed before the kill, an answer may come twice; but never two different ones.
                assert all(each == told[0] for each in told), request
                assert told[0]["code"] == "created", told[0]
                assert told[0]["data"]["device_id"] == device
        tables = fleet.tables("look")
    users = sorted(before + after)
    assert {device: sorted(table) for device, table in tables.items()} == dict.fromkeys(fleet.ids, users)


def test_a_standby_without_the_ledger_doubles_no_user_and_answers_a_repeated_request(tmp_path: Path) -> None:
    """What the dead bridge had kept and not answered is unknown to it: whoever waits in vain sends it again."""
    with Fleet(tmp_path, bridges=2, terminals=3) as fleet:
        asked = ask_all(fleet, ["1", "2", "3"])
        kill_in_the_middle(fleet, asked)
        asked |= ask_all(fleet, ["4"])
        with fleet.standby(0, ledger="none"):
            for request, device in asked.items():
                ask_again(fleet, request, device)
            answers = fleet.wait_for(set(asked), by=1)
            tables = fleet.tables("look")

    # What the dead bridge had done and not told is there already: 409 is the truth about the terminal.
    assert {each["code"] for request in asked for each in answers[request]} <= {"created", "user_exists"}
    others = [each for request, device in asked.items() if not device.startswith("b0-") for each in answers[request]]
    assert {each["code"] for each in others} == {"created"}
    assert {device: sorted(table) for device, table in tables.items()} == {
        key: ["1", "2", "3", "4"] for key in fleet.ids
    }
