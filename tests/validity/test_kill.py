"""A bridge that is killed while it carries a date out does it once more, tells it, and leaves nobody shut out."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

EVENT = "zk/p/users/event"
#: Far enough ahead for the user to be created before.
AHEAD_S = 4


FRAMES = ("CONNECT", "DISABLE", "USER_WRQ", "REFRESHDATA", "ENABLE", "EXIT")
#: Profile, transport, frame, and whether the terminal has done it.
KILLS = [("tft", "tcp", frame, when) for frame in FRAMES for when in ("before", "after")]
KILLS += [("bw", "udp", "USER_WRQ", when) for when in ("before", "after")]


@pytest.mark.parametrize("kill", KILLS, ids="-".join)
def test_a_kill_at_any_frame_blocks_the_user_all_the_same(
    tmp_path: Path, broker: Mosquitto, kill: tuple[str, str, str, Literal["before", "after"]]
) -> None:
    profile, transport, frame, when = kill
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile=profile))
        config = {"p": device(terminal, transport=transport, timeout=1, validity={"trust_clock": True})}
        daemon = Daemon(tmp_path / "d", broker.port, config, covered=False)
        with daemon, Caller(broker.port) as caller:
            caller.subscribe("zk/p/users/#")
            end = (datetime.now() + timedelta(seconds=AHEAD_S)).isoformat(timespec="seconds")  # noqa: DTZ005 - a wall clock
            caller.publish("zk/p/users/create", {"user_id": "7", "name": "Ana", "valid_until": end})
            assert caller.wait_for("zk/p/users/create/reply", timeout=20).json["code"] == "created"
            wait_for_session_end(terminal)
            terminal.faults.add(on=frame, when=when, do=lambda _: daemon.pause())
            wait_until(lambda: not terminal.faults.waiting(), timeout=30, what="the frame")
            daemon.kill()
            daemon.start()

            told = caller.wait_for(EVENT, timeout=30).json
            wait_until(lambda: not terminal.disabled, what="the terminal to be enabled")
            caller.publish("zk/p/users/list", {})
            (row,) = caller.wait_for("zk/p/users/list/reply", timeout=20).json["data"]
            events = {each.json["id"] for each in caller.messages if each.topic == EVENT}

    assert (told["event"], told["reason"], told["moment"]) == ("blocked", "valid_until", end)
    assert row["blocked"] is True
    assert events == {told["id"]}
