"""The ledger was deleted, replaced or emptied under the running bridge, which went on to write into the lost file.

Source: attack on 7bb949d, 2026-11
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import device
from tests.support.in_process import bridge_here
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.bridge.bridge import Bridge
from zkbridge.simulator import Simulator, TerminalConfig

CREATE = "lost/p/users/create"


@pytest.fixture
def site(
    tmp_path: Path, shared_broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Bridge, Caller, Path]]:
    monkeypatch.setattr("zkbridge.bridge.ledger_care.LOOK_S", 0.1)
    with Simulator() as simulator:
        settings = {
            "mqtt": {"host": "127.0.0.1", "port": shared_broker.port, "client_id": "zkb-lost", "base_topic": "lost"},
            "devices": {"p": device(simulator.add(TerminalConfig(profile="tft")))},
            "state_dir": tmp_path / "state",
            "lock_dir": tmp_path / "locks",
        }
        with bridge_here(settings) as bridge, Caller(shared_broker.port) as caller:
            caller.subscribe(f"{CREATE}/reply")
            yield bridge, caller, tmp_path / "state" / "ledger.db"


def ask(caller: Caller, request_id: str) -> dict[str, Any]:
    caller.publish(CREATE, {"user_id": "7", "name": request_id, "request_id": request_id})
    return caller.wait_for(f"{CREATE}/reply", timeout=30).json


def test_a_deleted_ledger_is_written_anew_with_what_was_kept(
    site: tuple[Bridge, Caller, Path], caplog: pytest.LogCaptureFixture
) -> None:
    bridge, caller, path = site
    assert ask(caller, "before")["code"] == "created"
    path.unlink()
    wait_until(lambda: "was removed while the bridge was using it" in caplog.text, what="the loss to be said")

    assert ask(caller, "before")["replayed"]
    assert ask(caller, "after")["code"] == "user_exists"
    with closing(sqlite3.connect(path)) as ledger:
        rows = ledger.execute("SELECT request_id FROM requests").fetchall()
    assert ("before",) in rows
    assert not bridge.ended.is_set()


def test_an_emptied_ledger_ends_the_bridge_with_a_sentence(
    site: tuple[Bridge, Caller, Path], caplog: pytest.LogCaptureFixture
) -> None:
    bridge, caller, path = site
    assert ask(caller, "before")["code"] == "created"
    os.truncate(path, 0)

    assert bridge.ended.wait(30)
    assert f"{path} was emptied or cut" in caplog.text
    assert "was emptied or cut" in str(bridge.failure)
