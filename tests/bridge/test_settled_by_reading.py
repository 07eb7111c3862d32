"""What broke in every attempt after the write is settled by the terminal's table, whenever that can be read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal

ALWAYS = 1000
ANA = {"user_id": "777", "name": "Ana", "card": 4711}


@pytest.fixture
def ask(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> Callable[..., Any]:
    """The reply to one request for a terminal with three users."""
    terminal.fill_users(3)

    def ask(command: str, payload: dict[str, Any]) -> dict[str, Any]:
        settings = {"p": device(terminal, timeout=2)}
        with Daemon(tmp_path / "daemon", broker.port, settings) as daemon, Caller(broker.port) as caller:
            caller.subscribe(f"zk/p/{command}/reply")
            caller.publish(f"zk/p/{command}", json.dumps(payload))
            reply = caller.wait_for(f"zk/p/{command}/reply").json
            assert daemon.log.count("attempt 1 of 3 failed") <= 1
            return reply

    return ask


def held(terminal: SimulatedTerminal) -> list[str]:
    return [user.user_id for user in terminal.users()]


@pytest.mark.parametrize(("frame", "skip"), [("REFRESHDATA", 0), ("GET_FREE_SIZES", 1)])
def test_a_user_who_is_there_was_created(
    terminal: SimulatedTerminal, ask: Callable[..., Any], frame: str, skip: int
) -> None:
    terminal.faults.add(frame, "after", "close", count=ALWAYS, skip=skip)

    assert ask("users/create", ANA)["code"] == "created"
    assert held(terminal) == ["1", "2", "3", "777"]


@pytest.mark.parametrize(("frame", "skip"), [("REFRESHDATA", 0), ("GET_FREE_SIZES", 1)])
def test_a_user_who_is_gone_was_deleted(
    terminal: SimulatedTerminal, ask: Callable[..., Any], frame: str, skip: int
) -> None:
    terminal.faults.add(frame, "after", "close", count=ALWAYS, skip=skip)

    assert ask("users/delete", {"user_id": "2"})["code"] == "deleted"
    assert held(terminal) == ["1", "3"]


def test_a_change_that_is_there_was_made(terminal: SimulatedTerminal, ask: Callable[..., Any]) -> None:
    terminal.faults.add("REFRESHDATA", "after", "close", count=ALWAYS)

    assert ask("users/update", {"user_id": "2", "name": "Eva"})["code"] == "updated"
    assert terminal.users()[1].name == "Eva"


@pytest.mark.parametrize("command", ["users/create", "users/delete"])
def test_a_request_without_an_effect_is_answered_effect_none(
    terminal: SimulatedTerminal, ask: Callable[..., Any], command: str
) -> None:
    frame = "USER_WRQ" if command == "users/create" else "DELETE_USER"
    terminal.faults.add(frame, "before", "close", count=ALWAYS)

    reply = ask(command, ANA if command == "users/create" else {"user_id": "2"})

    assert (reply["code"], reply["effect"]) == ("device_unreachable", "none")
    assert held(terminal) == ["1", "2", "3"]


def test_a_user_id_that_was_entered_at_the_keypad_meanwhile_is_a_409(
    terminal: SimulatedTerminal, ask: Callable[..., Any]
) -> None:
    terminal.faults.add("USER_WRQ", "before", "close", count=ALWAYS)
    terminal.faults.add("USER_WRQ", "before", lambda _: terminal.add_user("777", "Eva"), skip=2)

    assert ask("users/create", ANA)["code"] == "user_exists"
    assert [user.name for user in terminal.users() if user.user_id == "777"] == ["Eva"]


def test_a_table_that_shows_a_user_only_after_the_refresh_that_breaks_proves_nothing(
    terminal: SimulatedTerminal, ask: Callable[..., Any]
) -> None:
    terminal.switches.lazy_commit = True
    terminal.faults.add("REFRESHDATA", "before", "close", count=ALWAYS)

    reply = ask("users/create", ANA)

    assert (reply["code"], reply["effect"]) == ("device_unreachable", "unknown")
    terminal.restart()
    assert held(terminal) == ["1", "2", "3", "777"]


def test_a_terminal_that_confirms_a_user_and_does_not_show_it_may_show_it_later(
    terminal: SimulatedTerminal, ask: Callable[..., Any]
) -> None:
    terminal.switches.lazy_commit = True

    reply = ask("users/create", ANA)

    assert (reply["code"], reply["effect"]) == ("device_rejected", "unknown")
    terminal.restart()
    assert held(terminal) == ["1", "2", "3", "777"]


def test_a_terminal_that_is_gone_leaves_it_unknown(terminal: SimulatedTerminal, ask: Callable[..., Any]) -> None:
    terminal.faults.add("USER_WRQ", "after", lambda _: terminal.power_off("close"))

    reply = ask("users/create", ANA)

    assert (reply["code"], reply["effect"]) == ("device_unreachable", "unknown")
