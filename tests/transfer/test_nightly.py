"""backup.nightly: the bridge asks by itself, tells on the reply topic, and waits for a terminal that is away."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import client_id, device
from tests.support.frames import wait_for_session_end
from tests.support.in_process import FalseClock, bridge_here
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from tests.transfer.conftest import PATIENCE_S, enrol_ana
from zkbridge.bridge import nightly
from zkbridge.machine import pause
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

DAY_S = 86_400.0
REPLY = "zk/p/device/backup/reply"


@pytest.fixture
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig(profile="tft"))


def test_each_night_has_its_backup_and_a_terminal_that_is_away_is_backed_up_when_it_is_back(
    tmp_path: Path, shared_broker: Mosquitto, terminal: SimulatedTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((nightly, "LOOK_S"), (nightly, "AGAIN_S"), (pause, "FIRST_S")):
        monkeypatch.setattr(module, name, 0.05)
    enrol_ana(terminal)
    machine = FalseClock()
    settings: dict[str, Any] = {
        "mqtt": {"host": "127.0.0.1", "port": shared_broker.port, "client_id": client_id(tmp_path)},
        "devices": {"p": device(terminal, timezone="America/Lima")},
        "retry": {"attempts": 1, "deadline": 15},
        "state_dir": tmp_path / "state",
        "lock_dir": tmp_path / "locks",
        "policy": {"commands": ["ping"]},
        "backup": {"nightly": "03:30", "keep": 2},
    }
    folder = tmp_path / "state" / "backups" / "p"
    with Caller(shared_broker.port) as caller, bridge_here(settings, machine.clock()) as bridge:
        caller.subscribe("zk/p/#")
        replies = [caller.wait_for(REPLY, timeout=PATIENCE_S).json]
        wait_until(lambda: bridge.snapshot().terminals[0].backup_at is not None, timeout=PATIENCE_S, what="its time")
        wait_for_session_end(terminal)
        terminal.power_off()
        machine.passed += DAY_S
        replies.append(caller.wait_for(REPLY, timeout=PATIENCE_S).json)
        wait_until(lambda: bool(bridge.parts.ledger.waiting("p")), timeout=PATIENCE_S, what="a request that waits")
        terminal.power_on()
        replies.append(caller.wait_for(REPLY, timeout=PATIENCE_S).json)
        wait_for_session_end(terminal)

    first, away, back = replies
    assert (first["code"], first["data"]["users"], first["data"]["fingers"]) == ("backed_up", 1, 2)
    assert first["request_id"].startswith("nightly-")
    assert (away["status"], away["code"], away["effect"], "until" in away) == (202, "waiting", "none", True)
    assert back["code"] == "backed_up"
    assert away["request_id"] == back["request_id"] != first["request_id"]
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{each['data']['backup']}.json" for each in (first, back)]
    assert json.loads((folder / names[1]).read_text())["users"]
