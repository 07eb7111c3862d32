"""users/block and users/unblock change one bit of the record; create, update and list know it too."""

from typing import Any

import pytest

from tests.commands.conftest import Site, said
from tests.support.frames import wait_for_session_end
from zkbridge.simulator import Command, SimulatedTerminal
from zkbridge.simulator.wire.records import with_privilege

ROLES = [0, 2, 6, 14]


def records(terminal: SimulatedTerminal) -> dict[int, bytes]:
    """The terminal's records, byte for byte."""
    wait_for_session_end(terminal)
    return dict(terminal.machine.terminal.users.stored)


def set_role(terminal: SimulatedTerminal, role: int) -> None:
    (raw,) = records(terminal).values()
    terminal.machine.terminal.users.write(with_privilege(raw, role))


@pytest.mark.parametrize("role", ROLES)
def test_block_and_unblock_change_bit_0_of_the_permission_byte_alone(
    site: Site, kind: str, terminal: SimulatedTerminal, role: int
) -> None:
    set_role(terminal, role)
    terminal.add_template("700", 6)
    (before,) = records(terminal).values()
    templates = terminal.templates()

    blocked = site.ask(kind, "users/block", {"user_id": "700"})

    assert blocked == {
        "success": True,
        "message": said(site, "Usuario '700' bloqueado.", "User '700' blocked."),
        "data": {"user_id": "700", "device_id": kind},
        "status": 200,
        "code": "blocked",
    }
    (now,) = records(terminal).values()
    assert now[2] == before[2] | 1
    assert now[:2] + now[3:] == before[:2] + before[3:]
    assert not terminal.punch("700")
    (row,) = site.ask(kind, "users/list")["data"]
    assert (row["blocked"], row["privilege"]) == (True, role)

    let_in = site.ask(kind, "users/unblock", {"user_id": "700"})

    assert (let_in["code"], let_in["message"]) == (
        "unblocked",
        said(site, "Usuario '700' desbloqueado.", "User '700' unblocked."),
    )
    assert list(records(terminal).values()) == [before]
    assert terminal.templates() == templates
    assert terminal.punch("700")


@pytest.mark.parametrize("verb", ["block", "unblock"])
def test_a_user_who_is_so_already_is_a_success_and_nothing_is_written(
    site: Site, kind: str, terminal: SimulatedTerminal, verb: str
) -> None:
    terminal.set_user_disabled("700", verb == "block")
    writes = terminal.counts[Command.USER_WRQ]

    for _ in range(2):
        assert site.ask(kind, f"users/{verb}", {"user_id": "700"})["code"] == f"{verb}ed"
    assert terminal.counts[Command.USER_WRQ] == writes


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("verb", ["block", "unblock"])
def test_a_user_who_is_not_there_is_not_found(site: Site, kind: str, verb: str) -> None:
    answer = site.ask(kind, f"users/{verb}", {"user_id": "404"})

    assert (answer["status"], answer["code"]) == (404, "user_not_found")
    assert answer["error"] == said(site, "Usuario '404' no encontrado.", "User '404' not found.")


def test_every_record_of_a_user_id_is_blocked(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    ((uid, raw),) = records(terminal).items()
    second = (uid + 1).to_bytes(2, "little") + raw[2:]
    terminal.machine.terminal.users.write(second)

    answer = site.ask(kind, "users/block", {"user_id": "700"})

    assert (answer["code"], answer["data"]["records"]) == ("blocked", 2)
    assert [each[2] & 1 for each in records(terminal).values()] == [1, 1]


def test_a_user_may_be_created_blocked_and_an_update_of_another_field_leaves_that(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    created = site.ask(kind, "users/create", {"user_id": "701", "name": "Eva", "privilege": 14, "blocked": True})
    assert created["code"] == "created"
    assert site.ask(kind, "users/update", {"user_id": "701", "card": 5})["code"] == "updated"
    wait_for_session_end(terminal)
    assert not terminal.punch("701")
    assert _row(site, kind, "701") == (True, 14, 5)

    assert site.ask(kind, "users/update", {"user_id": "701", "blocked": False, "card": 6})["code"] == "updated"
    assert _row(site, kind, "701") == (False, 14, 6)
    wait_for_session_end(terminal)
    assert terminal.punch("701")


@pytest.mark.parametrize("refusal", [2001, 65535])
def test_firmware_that_refuses_the_record_is_reported(
    site: Site, kind: str, terminal: SimulatedTerminal, refusal: int
) -> None:
    terminal.faults.add("USER_WRQ", "before", "refuse", code=refusal)

    answer = site.ask(kind, "users/block", {"user_id": "700"})

    assert (answer["status"], answer["code"]) == (500, "device_rejected")
    assert str(refusal) in answer["error"]
    wait_for_session_end(terminal)
    assert terminal.punch("700")


def _row(site: Site, kind: str, user_id: str) -> tuple[Any, ...]:
    (row,) = site.ask(kind, "users/list", {"user_id": user_id})["data"]
    return row["blocked"], row["privilege"], row["card"]
