"""A FIFO in the lock folder, put there by any local user, made a thread of the bridge hang for ever.

Source: attack on 7bb949d, 2026-11
"""

import os
from pathlib import Path

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import Simulator, TerminalConfig


def test_the_request_is_answered_with_the_path_and_goes_through_when_the_fifo_is_gone(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        daemon = Daemon(
            tmp_path / "d", shared_broker.port, {"p": device(terminal)}, mqtt={"base_topic": "fifo"}, covered=False
        )
        locks = daemon.folder / "locks"
        locks.mkdir(mode=0o1777)
        fifo = locks / f"{terminal.host}:{terminal.port}.lock"
        os.mkfifo(fifo)
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe("fifo/p/ping/reply")
            caller.publish("fifo/p/ping", {})
            refused = caller.wait_for("fifo/p/ping/reply", timeout=30).json
            fifo.unlink()
            caller.publish("fifo/p/ping", {})
            after = caller.wait_for("fifo/p/ping/reply", timeout=30).json

    assert (refused["code"], str(fifo) in refused["error"]) == ("device_unreachable", True)
    assert after["code"] == "ok"
