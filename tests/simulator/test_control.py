"""Terminals by remote control, and the same words as a person types them."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedRWPair
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.simulator.raw import RawClient
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.console import operations
from zkbridge.simulator.console.control import Control
from zkbridge.simulator.console.operations import OperationFailed
from zkbridge.simulator.handle.terminal import SimulatedTerminal


@pytest.fixture
def terminals(sim: Simulator) -> list[SimulatedTerminal]:
    return [sim.add(), sim.add(TerminalConfig(profile="bw"))]


class Remote:
    """Sends one request and returns the answer."""

    def __init__(self, lines: BinaryIO | BufferedRWPair) -> None:
        self._lines = lines

    def __call__(self, **request: Any) -> dict[str, Any]:
        return self.raw(json.dumps(request).encode() + b"\n")

    def raw(self, line: bytes) -> dict[str, Any]:
        self._lines.write(line)
        self._lines.flush()
        return json.loads(self._lines.readline())


@contextmanager
def remote(terminals: list[SimulatedTerminal]) -> Iterator[Remote]:
    control = Control(terminals)
    try:
        with socket.create_connection(("127.0.0.1", control.port), timeout=5) as connection:
            lines = connection.makefile("rwb")
            yield Remote(lines)
            lines.close()
    finally:
        control.stop()


def test_a_user_is_added_seen_and_deleted(terminals: list[SimulatedTerminal]) -> None:
    with remote(terminals) as ask:
        added = ask(do="add_user", user_id="7", name="Ana", card=42)
        assert added == {"ok": True, "result": {"uid": 1, "user_id": "7"}}
        (user,) = ask(do="users")["result"]
        assert (user["uid"], user["name"], user["card"], len(user["raw"])) == (1, "Ana", 42, 144)
        assert ask(do="delete_user", user_id="7")["ok"]
        assert ask(do="delete_user", user_id="7")["ok"] is False

    assert terminals[0].users() == []


def test_a_terminal_is_chosen_by_its_port_or_place(terminals: list[SimulatedTerminal]) -> None:
    with remote(terminals) as ask:
        ask(do="fill_users", count=2, terminal=terminals[1].port)
        ask(do="fill_users", count=1, terminal=1)
        assert ask(do="state", terminal=1)["result"]["users"] == 3
        assert ask(do="state")["result"]["users"] == 0
        assert ask(do="state", terminal=99)["error"] == "no terminal 99"


def test_a_punch_is_in_the_state(terminals: list[SimulatedTerminal]) -> None:
    terminals[0].add_user("7")
    with remote(terminals) as ask:
        assert ask(do="punch", user_id=7, state=1, when="2026-05-10T08:30:15")["result"]["taken"]
        assert ask(do="punch", user_id="8")["result"] == {"taken": False, "display": "Invalid ID"}
        state = ask(do="state")["result"]

    assert (state["profile"], state["punches"], state["disabled"]) == ("tft", 1, False)
    assert terminals[0].attendance()[0].state == 1


def test_switches_faults_options_and_power(terminals: list[SimulatedTerminal], raw: Callable[..., RawClient]) -> None:
    terminal = terminals[0]
    with remote(terminals) as ask:
        assert ask(do="set", name="latency", value=0.01)["ok"]
        assert ask(do="switches")["result"]["latency"] == 0.01
        assert ask(do="fault", on="GET_VERSION", when="after", action="refuse")["ok"]
        assert ask(do="fault", text="on=50,do=refuse")["ok"]
        assert ask(do="option", name="LockOn", value="9")["ok"]
        client = raw(terminal)
        assert [client.ask(command).code for command in (1100, 50, 50)] == [2001, 2001, 2000]
        assert ask(do="counts")["result"]["GET_FREE_SIZES"] == 2
        assert ask(do="disabled")["result"] == []
        assert [client.ask(command).code for command in (1003, 1002, 1003)] == [2000] * 3
        assert len(ask(do="disabled")["result"]) == 2
        assert ask(do="log")["result"][-1]["command"] == 2000
        ask(do="fault", on="*", count=9)
        assert ask(do="clear_faults")["ok"]
        assert ask(do="power", state="off")["ok"]
        assert client.ended() == "reset"
        assert ask(do="power", state="on")["ok"]
        port = terminal.port
        assert ask(do="move")["ok"]

    assert terminal.port != port
    assert raw(terminal).ask(11, b"LockOn\0").data == b"LockOn=9\0"


def test_a_restart_a_finger_an_alarm_and_a_snapshot(
    terminals: list[SimulatedTerminal], raw: Callable[..., RawClient], tmp_path: Path
) -> None:
    terminal = terminals[0]
    with remote(terminals) as ask:
        ask(do="add_user", user_id="7")
        assert ask(do="snapshot", path=str(tmp_path / "tables"))["ok"]
        assert ask(do="restart")["ok"]
        client = raw(terminal)
        client.ask(500, (512).to_bytes(4, "little"))
        assert ask(do="alarm", kind="tamper")["ok"]
        assert client.read().session == 512
        terminal.switches.enrolment = "wait"
        client.ask(61, b"7".ljust(24, b"\0") + b"\3\1")
        assert ask(do="enrol", script=[100, 100, 100])["ok"]
        assert client.read().session == 2
        ask(do="delete_user", user_id="7")
        assert ask(do="restore", path=str(tmp_path / "tables"))["ok"]

    assert [user.user_id for user in terminal.users()] == ["7"]


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "fly"},
        {},
        {"do": "punch"},
        {"do": "punch", "user_id": "1", "colour": "red"},
        {"do": "set", "name": "colour", "value": 1},
        {"do": "set", "name": "watch", "value": 1},
        {"do": "set", "name": "latency", "value": "soon"},
        {"do": "power", "state": "maybe"},
        {"do": "fault", "on": "NOPE"},
        {"do": "restore", "path": "/nonexistent/tables"},
        {"do": "enrol", "script": "upside down"},
        {"do": "alarm", "kind": "boredom"},
    ],
)
def test_a_failed_operation_is_reported_and_the_next_is_done(
    terminals: list[SimulatedTerminal], request_: dict[str, Any]
) -> None:
    with remote(terminals) as ask:
        answer = ask(**request_)
        assert answer["ok"] is False
        assert answer["error"]
        assert ask(do="state")["ok"]


def test_what_is_no_request_is_answered(terminals: list[SimulatedTerminal]) -> None:
    with remote(terminals) as ask:
        assert "JSON" in ask.raw(b"hello\n")["error"]
        assert "JSON" in ask.raw(b"[1]\n")["error"]
        assert "JSON" in ask.raw(b"\xff\xfe\n")["error"]


def test_a_line_is_read_as_a_person_means_it() -> None:
    assert operations.parse_line("punch 123 state=1") == {"do": "punch", "user_id": "123", "state": "1"}
    assert operations.parse_line("add_user 7 'Ana Gil' card=4") == {
        "do": "add_user",
        "user_id": "7",
        "name": "Ana Gil",
        "card": "4",
    }
    assert operations.parse_line("fault on=8,do=close") == {"do": "fault", "text": "on=8,do=close"}
    assert operations.parse_line("set latency 0.2 terminal=4371")["terminal"] == "4371"


@pytest.mark.parametrize("line", ["punch 1 2", "add_user 'Ana"])
def test_a_line_that_makes_no_sense_is_an_error(line: str) -> None:
    with pytest.raises(OperationFailed, match=r".+"):
        operations.parse_line(line)


def test_every_operation_is_explained() -> None:
    assert all(f"\n{name}" in "\n" + operations.help_text() for name in operations.OPERATIONS)


def test_a_line_changes_a_terminal(terminals: list[SimulatedTerminal]) -> None:
    operations.perform(terminals, operations.parse_line("set user_capacity 1"))
    operations.perform(terminals, operations.parse_line("add_user 5 Eva password=1 privilege=14"))
    with pytest.raises(OperationFailed, match="room"):
        operations.perform(terminals, operations.parse_line("add_user 6"))

    assert [(user.name, user.privilege) for user in terminals[0].users()] == [("Eva", 14)]


def test_a_moved_terminal_leaves_its_old_clients_in_silence(
    terminals: list[SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = terminals[0]
    client = raw(terminal)

    terminal.move()
    with RawClient(terminal) as other:
        assert other.connect().code == 2000
    client.tell(50)

    wait_until(lambda: client.ended() == "reset")
