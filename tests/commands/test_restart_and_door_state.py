"""device/restart happens once and is told as it was; door/state says what the terminal says, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Site, said
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Command, SimulatedTerminal, Simulator, TerminalConfig

TOPIC = "zk/p/device/restart"


def restarts(folder: Path, broker: Mosquitto, *, transport: str = "tcp", **switches: Any) -> tuple[dict[str, Any], int]:
    """The answer to one restart of a terminal with these switches, and how often it restarted."""
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.switches.update({"restart_seconds": 0.05, **switches})
        config = {"p": device(terminal, transport=transport, timeout=1)}
        with Daemon(folder / "d", broker.port, config, covered=False), Caller(broker.port) as caller:
            caller.subscribe("zk/+/#")
            caller.publish(TOPIC, {"request_id": "r"})
            answer = caller.wait_for(f"{TOPIC}/reply", timeout=20).json
            wait_until(lambda: terminal.powered, what="the terminal to run again")
            caller.publish("zk/p/ping", {})
            assert caller.wait_for("zk/p/ping/reply", timeout=20).json["code"] == "ok"
            caller.publish(TOPIC, {"request_id": "r"})
            again = caller.wait_for(f"{TOPIC}/reply", lambda message: message.json.get("replayed"), timeout=20).json
        assert again == {**answer, "replayed": True}
        return answer, terminal.counts[Command.RESTART]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_restart_that_is_confirmed_is_a_success(tmp_path: Path, broker: Mosquitto, transport: str) -> None:
    answer, count = restarts(tmp_path, broker, transport=transport)

    assert answer == {
        "success": True,
        "message": "El dispositivo se está reiniciando.",
        "data": {"acknowledged": True, "device_id": "p"},
        "status": 200,
        "code": "restarting",
        "request_id": "r",
    }
    assert count == 1


def test_a_connection_that_ends_instead_of_an_answer_is_a_success_with_acknowledged_false(
    tmp_path: Path, broker: Mosquitto
) -> None:
    answer, count = restarts(tmp_path, broker, restart_ack=False)

    assert (answer["code"], answer["data"]["acknowledged"], count) == ("restarting", False, 1)


def test_silence_over_udp_leaves_the_outcome_unknown(tmp_path: Path, broker: Mosquitto) -> None:
    answer, count = restarts(tmp_path, broker, transport="udp", restart_ack=False)

    assert (answer["code"], answer["retryable"], answer["effect"], count) == ("outcome_unknown", False, "unknown", 1)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_firmware_that_does_not_restart_is_reported_and_continues(
    tmp_path: Path, broker: Mosquitto, transport: str
) -> None:
    answer, count = restarts(tmp_path, broker, transport=transport, lacks="RESTART")

    assert (answer["status"], answer["code"], count) == (500, "device_rejected", 1)
    assert "65535" in answer["error"]


def test_requests_behind_a_restart_are_done_when_the_terminal_is_back(tmp_path: Path, broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.switches.update({"restart_seconds": 0.05, "latency": 0.05})
        retry = {"attempts": 10, "initial_delay": 0.1, "max_delay": 0.3, "deadline": 20}
        daemon = Daemon(
            tmp_path / "d",
            broker.port,
            {"p": device(terminal, door={"enabled": True, "trust_clock": True})},
            retry=retry,
            covered=False,
        )
        with daemon, Caller(broker.port) as caller:
            caller.subscribe("zk/+/#")
            caller.publish("zk/p/info", {})
            for command in ("device/restart", "door/unlock", "users/list"):
                caller.publish(f"zk/p/{command}", {})
            codes = {
                command: caller.wait_for(f"zk/p/{command}/reply", timeout=20).json["code"]
                for command in ("device/restart", "door/unlock", "users/list")
            }

        # The terminal still takes connections for a moment after its answer: an UNLOCK that it loses then is unknown.
        assert codes.pop("door/unlock") in {"unlocked", "outcome_unknown"}
        assert codes == {"device/restart": "restarting", "users/list": "ok"}
        assert terminal.counts[Command.RESTART] == terminal.counts[Command.UNLOCK] == 1


def test_the_state_of_the_door_is_what_the_terminal_reports(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    closed = site.ask(kind, "door/state")
    assert site.ask(kind, "door/unlock", {"seconds": 20})["code"] == "unlocked"
    opened = site.ask(kind, "door/state")
    terminal.machine.terminal.front.open_door(0)

    assert closed == {"success": True, "data": {"open": False, "device_id": kind}, "status": 200, "code": "ok"}
    assert opened["data"] == {"open": True, "device_id": kind}


@pytest.mark.parametrize(
    "case",
    [
        ("lacks", "DOORSTATE_RRQ", "answer 65535"),
        ("door_state", "none", "state absent"),
        ("door_state", "2", "state 02"),
    ],
)
def test_the_state_of_a_door_is_never_invented(
    site: Site, kind: str, terminal: SimulatedTerminal, case: tuple[str, str, str]
) -> None:
    switch, value, detail = case
    before = getattr(terminal.switches, switch)
    setattr(terminal.switches, switch, value)
    try:
        answer = site.ask(kind, "door/state")
    finally:
        setattr(terminal.switches, switch, before)

    address = f"{terminal.host}:{terminal.port}"
    assert (answer["status"], answer["code"], answer["error"]) == (
        500,
        "device_rejected",
        said(
            site,
            f"El dispositivo {address} no informa el estado de su puerta: {detail}.",
            f"Device {address} does not report the state of its door: {detail}.",
        ),
    )
