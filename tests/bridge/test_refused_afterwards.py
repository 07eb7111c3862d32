"""What a caller is told when a terminal was asked for a user, and then says no to everything."""

from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import Simulator, TerminalConfig

ANA = {"user_id": "7", "name": "Ana", "request_id": "r-7"}


@pytest.mark.parametrize(("frame", "code"), [("PREPARE_BUFFER", "device_rejected"), ("AUTH", "device_auth_failed")])
def test_a_user_who_may_have_been_written_is_not_passed_off_as_refused(
    tmp_path: Path, broker: Mosquitto, simulator: Simulator, frame: str, code: str
) -> None:
    terminal = simulator.add(TerminalConfig(comm_key=5))
    terminal.faults.add("USER_WRQ", "after", "reset")
    # The session that was reset takes one of each, and so does the connection that enables the terminal again.
    terminal.faults.add(frame, "before", "refuse", skip=2 if frame == "AUTH" else 1, count=9, code=2005)

    with Daemon(tmp_path / "daemon", broker.port, {"p": device(terminal, comm_key=5)}), Caller(broker.port) as caller:
        caller.subscribe("zk/p/users/create/reply")
        caller.publish("zk/p/users/create", ANA)
        reply = caller.wait_for("zk/p/users/create/reply").json

    assert [user.user_id for user in terminal.users()] == ["7"]
    assert (reply["code"], reply["effect"]) == (code, "unknown")
    assert "retryable" not in reply
