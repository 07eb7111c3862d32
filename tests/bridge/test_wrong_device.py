"""A device that is pinned by `serial`: a terminal with another serial number at its address is never written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.config.models import Device
from zkbridge.contract.wrong_device import WrongDevice
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import reach

ALLOWED = {Command.CONNECT, Command.AUTH, Command.OPTIONS_RRQ, Command.EXIT}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_another_serial_is_refused_before_anything_else_is_asked(transport: str, tmp_path: Path) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(serial="OTHER", comm_key=7))
        pinned = Device(
            id="p", host=terminal.host, port=terminal.port, comm_key=7, transport=transport, serial="MINE", timeout=2
        )

        with pytest.raises(WrongDevice) as caught:
            reach(pinned, deadline=Deadline.after(5), lock_dir=tmp_path)
        right = reach(pinned.model_copy(update={"serial": "OTHER"}), deadline=Deadline.after(5), lock_dir=tmp_path)

    assert "has serial number OTHER, not MINE" in caught.value.sentence("en")
    assert right.serial_number == "OTHER"


def test_a_terminal_that_reports_no_serial_number_is_refused(tmp_path: Path) -> None:
    with Simulator() as simulator:
        terminal = simulator.add()
        terminal.set_option("~SerialNumber", None)
        pinned = Device(id="p", host=terminal.host, port=terminal.port, serial="MINE", timeout=2)

        with pytest.raises(WrongDevice) as caught:
            reach(pinned, deadline=Deadline.after(5), lock_dir=tmp_path)

    assert "does not report its serial number" in caught.value.sentence("en")


def test_a_user_is_never_written_to_another_terminal(broker: Mosquitto, tmp_path: Path) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(serial="OTHER"))
        devices = {"p": device(terminal, serial="MINE", attendance="live")}
        with Daemon(tmp_path / "daemon", broker.port, devices), Caller(broker.port) as caller:
            caller.subscribe("zk/+/users/create/reply")
            caller.subscribe("zk/p/availability")

            caller.publish("zk/p/users/create", '{"user_id": "1", "name": "Ana"}')
            refused = caller.wait_for("zk/p/users/create/reply").json
            offline = caller.wait_for("zk/p/availability").json

        assert (refused["status"], refused["code"]) == (500, "wrong_device")
        assert "OTHER" in refused["error"]
        assert offline["state"] == "offline"
        assert {each.command for each in terminal.log if each.direction == "in"} <= ALLOWED
        assert terminal.users() == []
