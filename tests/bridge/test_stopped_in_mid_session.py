"""A daemon that is stopped in mid-session, as an overloaded machine may do, finds its terminal in use by people."""

import threading

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.waiting import wait_until
from zkbridge.simulator import TerminalConfig

ANA = {"user_id": "777", "name": "Ana", "request_id": "r-1"}


@pytest.mark.parametrize("frame", ["READ_BUFFER", "GET_FREE_SIZES", "OPTIONS_RRQ"])
def test_whom_somebody_added_meanwhile_at_the_keypad_is_not_written_over(tmp_path, broker, simulator, frame):
    terminal = simulator.add(TerminalConfig())
    terminal.fill_users(20)
    stopped = threading.Event()
    settings = {"p": device(terminal, timeout=1)}

    with (
        Daemon(tmp_path / "daemon", broker.port, settings, session_budget=0.5) as daemon,
        Caller(broker.port) as caller,
    ):

        def stop(_: object) -> None:
            daemon.pause()
            stopped.set()

        terminal.faults.add(frame, "after", stop)
        caller.subscribe("zk/p/users/create/reply")
        caller.publish("zk/p/users/create", ANA)
        assert stopped.wait(10)
        wait_until(lambda: not terminal.disabled, what="the terminal to enable itself")
        guard = terminal.add_user("900", "Guardia")
        daemon.resume()
        reply = caller.wait_for("zk/p/users/create/reply").json

    assert reply["code"] == "created"
    users = {user.user_id: user for user in terminal.users()}
    assert users["900"] == guard
    assert users["777"].uid != guard.uid
    assert not terminal.disabled
