"""An error between a message's bytes and the commit ended the connection, and the broker delivered it again for ever.

Source: attack on 7bb949d, 2026-11
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import QUICK, device
from tests.support.in_process import bridge_here
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.bridge.bridge import Bridge
from zkbridge.ledger import acceptance
from zkbridge.ledger.acceptance import Acceptance
from zkbridge.ledger.finding import Finder
from zkbridge.mqtt import reconnect
from zkbridge.simulator import Simulator, TerminalConfig

BASE = "unkept"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("unkept")
    with Simulator() as simulator:
        config = {
            **QUICK,
            "mqtt": {"host": "127.0.0.1", "port": shared_broker.port, "base_topic": BASE, "client_id": BASE},
            "devices": {name: device(simulator.add(TerminalConfig(profile="tft"))) for name in ("p", "q")},
            "state_dir": str(folder / "state"),
            "lock_dir": str(folder / "locks"),
            "language": "en",
        }
        with bridge_here(config) as bridge:
            yield bridge


@pytest.fixture(scope="module")
def caller(shared_broker: Mosquitto) -> Iterator[Caller]:
    with Caller(shared_broker.port) as caller:
        caller.subscribe(f"{BASE}/#", no_local=True)
        yield caller


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have one function of the ledger, or of another part, raise for the device `q`."""

    def begin(kind: object, name: str, error: Exception, *, times: int = 1000) -> None:
        real, left = getattr(kind, name), [times]

        def wrong(self: Any, *arguments: Any, **more: Any) -> Any:
            if left[0] and any(_concerns_q(each) for each in arguments):
                left[0] -= 1
                raise error
            return real(self, *arguments, **more)

        monkeypatch.setattr(kind, name, wrong)

    return begin


def _concerns_q(argument: object) -> bool:
    return getattr(getattr(argument, "draft", argument), "device", argument) == "q"


def ask(caller: Caller, device_id: str, command: str = "users/create", **body: Any) -> dict[str, Any]:
    caller.publish(f"{BASE}/{device_id}/{command}", json.dumps(body))
    return caller.wait_for(f"{BASE}/{device_id}/{command}/reply", timeout=20).json


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("take_on", ValueError("year 0 is out of range")),
        ("take_on", MemoryError()),
        ("take_on", RuntimeError("can't start new thread")),
        ("_suspect_of", sqlite3.DataError("string or blob too big")),
        ("_insert", sqlite3.IntegrityError("UNIQUE constraint failed")),
    ],
)
def test_it_is_answered_internal_and_acknowledged_and_the_others_are_done(
    bridge: Bridge, caller: Caller, spoil: Callable[..., None], method: str, error: Exception
) -> None:
    before, connection = bridge.snapshot().set_aside, bridge.parts.link.number
    spoil(Acceptance if hasattr(Acceptance, method) else acceptance, method, error)
    user = {"user_id": "7", "name": "a", "password": "73915", "request_id": f"{method}-{type(error).__name__}"}

    answer = ask(caller, "q", **user)
    honest = ask(caller, "p", "ping")

    assert (answer["status"], answer["code"], answer["request_id"]) == (500, "internal", user["request_id"])
    assert honest["success"]
    assert bridge.parts.link.number == connection, "the connection has lived on"
    assert bridge.snapshot().set_aside == before + 1
    text = bridge.parts.monitor._keeper._set_aside.path.read_text()
    assert json.loads(text.splitlines()[-1])["error_id"] == answer["error_id"]
    assert "73915" not in text


def test_what_cannot_even_be_answered_is_acknowledged(
    bridge: Bridge, caller: Caller, spoil: Callable[..., None]
) -> None:
    before, connection = bridge.snapshot().set_aside, bridge.parts.link.number
    spoil(Finder, "find", ValueError())

    caller.publish(f"{BASE}/q/ping", b"{}")
    honest = ask(caller, "p", "ping")

    assert honest["success"]
    assert (bridge.snapshot().set_aside, bridge.parts.link.number) == (before + 1, connection)


def test_the_next_sign_of_life_counts_it(bridge: Bridge, caller: Caller, spoil: Callable[..., None]) -> None:
    spoil(Finder, "find", ValueError())
    caller.publish(f"{BASE}/q/ping", b"{}")
    assert ask(caller, "p", "ping")["success"]

    bridge.parts.pulse.beat()

    counted = bridge.snapshot().set_aside
    assert counted
    assert caller.wait_for(f"{BASE}/bridge/health", lambda each: each.json["set_aside"] == counted)


def _threads_of(bridge: Bridge) -> list[Thread]:
    """The threads of its pool, busy or idle."""
    return [each for each in threading.enumerate() if getattr(each, "_pool", None) is bridge.parts.shared.pool]


def test_a_kept_request_is_done_once_a_thread_can_be_started(
    bridge: Bridge, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on disk: to leave it unacknowledged would have the broker bring it again."""
    connection, real = bridge.parts.link.number, threading.Thread.start
    refused: list[threading.Thread] = []

    def start(self: threading.Thread) -> None:
        if type(self).__module__ == "zkbridge.runtime.thread_pool" and len(refused) < 2:
            refused.append(self)
            raise RuntimeError("can't start new thread")
        return real(self)

    # A thread that is still busy with the end of an earlier session would take the request without a start.
    wait_until(lambda: not _threads_of(bridge), timeout=30, what="every thread of an earlier session to end")
    monkeypatch.setattr("zkbridge.bridge.probes.BEGIN_AGAIN_S", 0.05)
    monkeypatch.setattr(threading.Thread, "start", start)

    answer = ask(caller, "p", user_id="8", name="b")

    assert answer["code"] == "created"
    assert len(refused) == 2
    assert bridge.parts.link.number == connection


def test_a_ledger_that_cannot_be_written_is_waited_for_and_no_client_id_is_blamed(
    bridge: Bridge, caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection, real = bridge.parts.link.number, Finder.find

    def full(*_arguments: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(reconnect, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(Finder, "find", full)
    caller.publish(f"{BASE}/p/users/create", json.dumps({"user_id": "9", "name": "c"}))
    wait_until(lambda: bridge.parts.link.number >= connection + 4, timeout=60, what="the broker to bring it again")
    monkeypatch.setattr(Finder, "find", real)

    assert caller.wait_for(f"{BASE}/p/users/create/reply", timeout=60).json["code"] == "created"
    assert "client id" not in caplog.text
    assert bridge.is_well()
