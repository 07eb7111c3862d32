"""Punches through the whole bridge: a real broker, the daemon in its own process, a terminal on the wire."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.wire.frames import encode_time
from zkbridge.simulator.wire.records import Punch

NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone
EVENTS = "zk/p/attendance/event"
PATIENCE_S = 30


def events(caller: Caller) -> list[Any]:
    """Each punch as it was first told."""
    told: dict[Any, Any] = {}
    for message in caller.messages:
        if message.topic == EVENTS:
            told.setdefault(message.json["id"], message.json)
    return list(told.values())


def wait_for(caller: Caller, count: int) -> list[Any]:
    wait_until(lambda: len(events(caller)) >= count, timeout=PATIENCE_S, what=f"{count} punches")
    return events(caller)


def hears(daemon: Daemon) -> None:
    wait_until(lambda: "listened to for the first time" in daemon.log, timeout=PATIENCE_S)


@pytest.fixture
def live(
    tmp_path: Path, broker: Mosquitto, start: Callable[..., SimulatedTerminal]
) -> tuple[Daemon, SimulatedTerminal]:
    """A daemon, not started yet, and its terminal, which lets one client in at a time."""
    terminal = start(second_connection="refuse")
    return Daemon(tmp_path / "d", broker.port, {"p": device(terminal, attendance="live")}), terminal


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_punch_is_published_once_and_not_retained(
    live: tuple[Daemon, SimulatedTerminal], broker: Mosquitto, protocol: str
) -> None:
    daemon, terminal = live
    daemon.config["mqtt"]["protocol"] = protocol
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/+/attendance/event", retain_as_published=True)
        hears(daemon)
        terminal.punch("1", when=NINE)
        message = caller.wait_for(EVENTS, timeout=PATIENCE_S)

        assert (message.qos, message.retain) == (1, False)
        assert message.json["id"] == "p/2026-03-02T09:00:00/1/1/0/0"
        assert message.content_type == ("application/json" if protocol == "5" else None)
        caller.publish("zk/p/users/create", {"user_id": "77", "name": "Eva"})
        terminal.punch("2", when=NINE + timedelta(minutes=1))
        wait_for(caller, 2)
    assert len([message for message in caller.messages if message.topic == EVENTS]) == 2
    assert terminal.connections_accepted == 1


def test_killed_restarted_and_without_a_broker_no_punch_is_lost_or_published_as_another(
    live: tuple[Daemon, SimulatedTerminal], broker: Mosquitto
) -> None:
    daemon, terminal = live
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        hears(daemon)
        terminal.punch("1", when=NINE)
        wait_for(caller, 1)

        broker.stop()
        for minute in range(1, 4):
            terminal.punch("2", when=NINE + timedelta(minutes=minute))
        wait_until(lambda: terminal.counts[2000] == 4)  # acknowledged, so on disk
        daemon.kill()
        for minute in range(4, 7):
            terminal.punch("3", when=NINE + timedelta(minutes=minute))
        daemon.start(online=False)
        wait_until(lambda: "has 3 punches in its log that came without an event" in daemon.log, timeout=PATIENCE_S)
        assert daemon.stop() == 0
        broker.start()
        wait_until(lambda: caller.connected, what="the caller to be back: the broker keeps nothing for it")
        caller.subscribe("zk/#")
        daemon.start()
        wait_for(caller, 7)
        terminal.punch("4", when=NINE + timedelta(minutes=7))

        told = wait_for(caller, 8)
    assert [event["user_id"] for event in told] == ["1", "2", "2", "2", "3", "3", "3", "4"]
    assert [event.get("late", False) for event in told[:7]] == [False] * 4 + [True] * 3
    assert [event["timestamp"][-5:] for event in told] == [f"0{minute}:00" for minute in range(8)]


def test_a_punch_without_an_event_is_published_although_a_later_one_was(
    live: tuple[Daemon, SimulatedTerminal], broker: Mosquitto
) -> None:
    daemon, terminal = live
    for minute in range(-300, 0):
        terminal.add_punch(Punch(9, "9", 1, 0, encode_time(NINE + timedelta(minutes=minute))))
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        hears(daemon)
        terminal.punch("1", when=NINE)
        wait_for(caller, 1)
        terminal.add_punch(Punch(2, "2", 1, 0, encode_time(NINE + timedelta(minutes=1))))
        terminal.punch("3", when=NINE + timedelta(minutes=2))
        wait_for(caller, 2)
        caller.publish("zk/p/ping", {})  # the terminal is asked for its count afterwards
        wait_for(caller, 3)
        terminal.punch("4", when=NINE + timedelta(minutes=3))
        told = wait_for(caller, 4)
        daemon.kill()
        daemon.start()
        terminal.punch("5", when=NINE + timedelta(minutes=4))

        told = wait_for(caller, 5)
    assert [(event["user_id"], event.get("late", False)) for event in told[:4]] == [
        ("1", False),
        ("3", False),
        ("2", True),
        ("4", False),
    ]
    assert [event["user_id"] for event in told[4:]] == ["5"]


def test_a_reload_begins_and_ends_it(live: tuple[Daemon, SimulatedTerminal], broker: Mosquitto) -> None:
    daemon, terminal = live
    daemon.config["devices"]["p"]["attendance"] = "off"
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        terminal.punch("1", when=NINE)

        reload(daemon, "live")
        hears(daemon)
        terminal.punch("2", when=NINE + timedelta(minutes=1))
        assert [event["user_id"] for event in wait_for(caller, 1)] == ["2"]

        reload(daemon, "off")
        wait_until(lambda: terminal.sessions_open == 0, timeout=PATIENCE_S)
        terminal.punch("3", when=NINE + timedelta(minutes=2))
        reload(daemon, "live")
        told = wait_for(caller, 2)
    assert [(event["user_id"], event.get("late")) for event in told] == [("2", None), ("3", True)]


def reload(daemon: Daemon, attendance: str) -> None:
    daemon.config["devices"]["p"]["attendance"] = attendance
    (daemon.folder / "config.yaml").write_text(json.dumps(daemon.config))
    seen = daemon.log.count("changed: p")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: daemon.log.count("changed: p") > seen, timeout=PATIENCE_S, what="the reload")


def test_a_check_of_the_terminals_is_let_in(live: tuple[Daemon, SimulatedTerminal]) -> None:
    daemon, terminal = live
    with daemon:
        hears(daemon)
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "zkbridge",
            "check",
            "--connect",
            "--config",
            daemon.folder / "config.yaml",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        wait_until(lambda: terminal.sessions_open == 1, timeout=PATIENCE_S)
