"""Scripts that choose their own uid leave a user_id in two records; deleting or changing one of them is no success.

Source: attack on 7bb949d, 2026-11
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.frames import asked
from tests.support.mosquitto import Mosquitto
from tests.support.odd_terminals import Site, odd, running
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.simulator.wire import records

KINDS = {"large": odd({"profile": "tft"}), "small": odd({"profile": "bw"}, transport="udp")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("twins"), shared_broker, KINDS) as site:
        yield site


@pytest.fixture(params=KINDS)
def device(request: pytest.FixtureRequest, site: Site) -> Any:
    terminal = site.terminals[request.param]
    terminal.switches.update({"delete_without_effect": False})
    terminal.machine.terminal.clear("users", "templates")
    terminal.add_user("77", "Eva")
    for uid in (5, 9, 14):
        write(terminal, uid, "1001")
    return request.param


def write(terminal: SimulatedTerminal, uid: int, user_id: str, name: bytes = b"Ana") -> None:
    size = terminal.machine.terminal.record
    raw = records.pack_user(size, uid=uid, user_id=user_id, name=name, password=b"12", privilege=0, card=uid, group=1)
    terminal.machine.terminal.users.write(raw)


def table(site: Site, device: str) -> list[tuple[int, str, str]]:
    return [(user.uid, user.user_id, user.name) for user in site.terminals[device].users()]


def test_a_delete_takes_every_record_and_answers_how_many(site: Site, device: str) -> None:
    reply = site.ask(device, "users/delete", user_id="1001")

    assert reply["data"] == {"user_id": "1001", "records": 3, "device_id": device}
    assert reply["code"] == "deleted"
    assert table(site, device) == [(1, "77", "Eva")]


def test_an_update_changes_every_record_and_answers_how_many(site: Site, device: str) -> None:
    write(site.terminals[device], 9, "1001", b"Berta")

    reply = site.ask(device, "users/update", user_id="1001", name="Berta")

    assert reply["data"] == {"user_id": "1001", "records": 3, "device_id": device}
    assert table(site, device)[1:] == [(5, "1001", "Berta"), (9, "1001", "Berta"), (14, "1001", "Berta")]
    assert [user.card for user in site.terminals[device].users()] == [0, 5, 9, 14]


def test_one_record_is_answered_as_ever(site: Site, device: str) -> None:
    updated = site.ask(device, "users/update", user_id="77", name="Ida")
    deleted = site.ask(device, "users/delete", user_id="77")

    assert updated["data"] == deleted["data"] == {"user_id": "77", "device_id": device}


def test_a_delete_whose_answer_was_lost_halfway_answers_how_many_went(site: Site, device: str) -> None:
    site.terminals[device].faults.add("DELETE_USER", "after", "close" if device == "large" else "silence", skip=1)

    reply = site.ask(device, "users/delete", user_id="1001")

    assert reply["data"] == {"user_id": "1001", "records": 3, "device_id": device}
    assert table(site, device) == [(1, "77", "Eva")]


def test_a_delete_of_which_one_is_refused_is_no_success(site: Site, device: str) -> None:
    site.terminals[device].faults.add("DELETE_USER", "before", "refuse", skip=1)

    reply = site.ask(device, "users/delete", user_id="1001")

    assert (reply["success"], reply["code"], reply["effect"]) == (False, "device_rejected", "unknown")
    assert [uid for uid, user_id, _name in table(site, device) if user_id == "1001"] == [9]


def test_an_update_that_is_acknowledged_without_effect_is_no_success(site: Site, device: str) -> None:
    site.terminals[device].faults.add("USER_WRQ", "before", "refuse", code=2000)

    reply = site.ask(device, "users/update", user_id="77", name="Ida")

    assert (reply["success"], reply["code"]) == (False, "device_rejected")


def test_a_delete_without_effect_is_no_success(site: Site, device: str) -> None:
    site.terminals[device].switches.delete_without_effect = True

    reply = site.ask(device, "users/delete", user_id="77")

    assert (reply["success"], reply["code"], reply["effect"]) == (False, "device_rejected", "unknown")


def test_the_fingers_of_all_records_are_listed(site: Site, device: str) -> None:
    terminal = site.terminals[device].machine.terminal
    terminal.fingers.write(5, 1, records.Template(1, b"x" * 50))
    terminal.fingers.write(14, 6, records.Template(1, b"y" * 50))

    reply = site.ask(device, "users/fingers", user_id="1001")

    assert [row["finger_index"] for row in reply["data"]] == [1, 6]


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_finger_is_enrolled_for_a_user_in_several_records(site: Site, device: str, overwrite: bool) -> None:
    """Which record it would go to is the terminal's choice; only the first was looked at, and judged by."""
    terminal = site.terminals[device].machine.terminal
    terminal.fingers.write(14, 6, records.Template(1, b"x" * 50))

    reply = site.ask(device, "users/enroll-finger", user_id="1001", finger_index=6, overwrite=overwrite)

    assert reply["code"] == "device_rejected"
    assert "holds 3 records of user '1001'" in reply["error"]
    assert "STARTENROLL" not in asked(site.terminals[device])
    assert terminal.fingers.stored[14, 6].data == b"x" * 50
