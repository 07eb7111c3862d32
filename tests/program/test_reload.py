"""SIGHUP: what changed in the file is taken over, or refused, while the daemon runs."""

import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.fake_broker import FakeBroker
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal

PATIENCE_S = 20


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def terminal(simulator: Simulator) -> SimulatedTerminal:
    return simulator.add(TerminalConfig(profile="tft"))


@pytest.fixture
def other() -> Iterator[SimulatedTerminal]:
    """A terminal that nothing done to the first one holds up."""
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig(profile="tft"))


@pytest.fixture
def caller(broker: Mosquitto) -> Iterator[Caller]:
    with Caller(broker.port) as caller:
        caller.subscribe("zk/#", no_local=True)
        yield caller


def user(number: int) -> str:
    return json.dumps({"user_id": str(number), "name": f"User {number}", "request_id": f"r{number}"})


def ask(caller: Caller, number: int, device_id: str) -> None:
    caller.publish(f"zk/{device_id}/users/create", user(number))


def answer(caller: Caller, number: int) -> dict[str, Any]:
    return caller.wait_for(
        "zk/+/users/create/reply", lambda m: m.json.get("request_id") == f"r{number}", timeout=PATIENCE_S
    ).json


def reload(daemon: Daemon, devices: dict[str, dict[str, Any]], **more: Any) -> int:
    """Write the file anew and ask for it; where the log stood then."""
    mark = len(daemon.log)
    (daemon.folder / "config.yaml").write_text(json.dumps({**daemon.config, "devices": devices, **more}))
    os.kill(daemon.pid, signal.SIGHUP)
    return mark


def done(daemon: Daemon, mark: int) -> str:
    """Wait for the end of a reload; its lines of the log."""
    wait_until(lambda: re.search(r"reloaded: |going on with", daemon.log[mark:]), timeout=PATIENCE_S, what="the reload")
    return daemon.log[mark:]


def info(caller: Caller, devices: list[str]) -> None:
    caller.wait_for("zk/bridge/info", lambda m: m.json["devices"] == devices, timeout=PATIENCE_S)


def told(caller: Caller) -> int:
    """How often the bridge has said what it knows: once more as soon as new settings count."""
    return sum(message.topic == "zk/bridge/info" for message in list(caller.messages))


class Hold:
    """Keeps a terminal from writing the next user until the block ends."""

    def __init__(self, terminal: SimulatedTerminal) -> None:
        self.reached, self._release = threading.Event(), threading.Event()
        terminal.faults.add("USER_WRQ", "before", lambda _: self.reached.set() or self._release.wait(PATIENCE_S))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()


def test_an_added_device_is_served_without_a_restart(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, other: SimulatedTerminal, caller: Caller
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, probe_interval=300) as daemon:
        pid = daemon.pid
        mark = reload(daemon, {"p": device(terminal), "q": device(other)}, probe_interval=300)

        info(caller, ["p", "q"])
        ask(caller, 1, "q")

        assert answer(caller, 1)["code"] == "created"
        caller.wait_for("zk/q/availability", lambda m: m.json == {"state": "online"})
        assert "reloaded: added: q" in done(daemon, mark)
        assert daemon.pid == pid
        ask(caller, 2, "p")
        assert answer(caller, 2)["code"] == "created"
    assert [u.user_id for u in other.users()] == ["1"]


def test_a_removed_device_finishes_what_is_in_hand_and_refuses_the_rest(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, other: SimulatedTerminal, caller: Caller
) -> None:
    devices = {"p": device(terminal, timeout=20), "q": device(other)}
    with Daemon(tmp_path / "d", broker.port, devices) as daemon:
        with Hold(terminal) as hold:
            ask(caller, 1, "p")
            assert hold.reached.wait(PATIENCE_S)
            ask(caller, 2, "p")
            wait_until(lambda: "kept request=2" in daemon.log)

            mark = reload(daemon, {"q": device(other)})
            info(caller, ["q"])
            ask(caller, 3, "p")
            late = answer(caller, 3)
            ask(caller, 4, "q")
            assert answer(caller, 4)["code"] == "created"

        assert answer(caller, 1)["code"] == "created"
        waiting = answer(caller, 2)
        assert "reloaded: removed: p" in done(daemon, mark)
        caller.wait_for("zk/p/availability", lambda m: not m.payload)
        with Caller(broker.port) as newcomer:
            newcomer.subscribe("zk/#")
            newcomer.wait_for("zk/q/availability")
            newcomer.wait_for("zk/bridge/info")
            assert "zk/p/availability" not in {message.topic for message in newcomer.messages}

    for reply in (late, waiting):
        assert (reply["status"], reply["code"], reply["disponibles"]) == (404, "device_not_found", ["q"])
    assert [u.user_id for u in terminal.users()] == ["1"]
    assert not terminal.disabled


def test_a_changed_device_does_what_waits_with_its_new_settings(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, other: SimulatedTerminal, caller: Caller
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal, timeout=20)}) as daemon:
        with Hold(terminal) as hold:
            ask(caller, 1, "p")
            assert hold.reached.wait(PATIENCE_S)
            ask(caller, 2, "p")
            before = told(caller)
            mark = reload(daemon, {"p": device(other)})
            wait_until(lambda: told(caller) > before, timeout=PATIENCE_S, what="the new settings to count")
            ask(caller, 3, "p")
            wait_until(lambda: "kept request=3" in daemon.log)

        assert [answer(caller, number)["code"] for number in (1, 2, 3)] == ["created"] * 3
        assert "reloaded: changed: p" in done(daemon, mark)
    assert [u.user_id for u in terminal.users()] == ["1"]
    assert [u.user_id for u in other.users()] == ["2", "3"]
    assert not terminal.disabled


def test_a_request_that_is_being_tried_again_goes_to_where_the_device_is_now(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, caller: Caller
) -> None:
    closed = {**device(terminal), "port": 1}
    retry = {"attempts": 100, "initial_delay": 5, "max_delay": 5, "deadline": 60}
    with Daemon(tmp_path / "d", broker.port, {"p": closed}, retry=retry) as daemon:
        ask(caller, 1, "p")
        wait_until(lambda: "attempt 1 of 100 failed" in daemon.log)

        reload(daemon, {"p": device(terminal)})

        assert answer(caller, 1)["code"] == "created"


def test_a_wrong_file_is_refused_with_every_fault_and_the_daemon_goes_on(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, caller: Caller
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as daemon:
        said = done(daemon, reload(daemon, {"p": {"host": "x", "prot": 1}, "q": {"host": "y", "port": 0}}))

        assert "refused: devices.p.prot: no such key (did you mean port?)" in said
        assert "refused: devices.q.port: 0 is not a port (1 to 65535)" in said
        ask(caller, 1, "p")
        assert answer(caller, 1)["code"] == "created"

        (daemon.folder / "config.yaml").unlink()
        mark = len(daemon.log)
        os.kill(daemon.pid, signal.SIGHUP)
        assert "cannot be read: No such file or directory" in done(daemon, mark)
        ask(caller, 2, "p")
        assert answer(caller, 2)["code"] == "created"


def test_what_needs_a_restart_is_named_and_nothing_is_taken_over(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, other: SimulatedTerminal, caller: Caller
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as daemon:
        devices = {"p": device(terminal), "q": device(other)}
        said = done(daemon, reload(daemon, devices, language="en", queue_limit=5))

        assert "refused: language: has changed, which needs a restart" in said
        assert "refused: queue_limit: has changed, which needs a restart" in said
        ask(caller, 1, "q")
        refused = answer(caller, 1)
    assert (refused["code"], refused["disponibles"]) == ("device_not_found", ["p"])
    assert other.connections_accepted == 0


def test_a_bridge_among_others_subscribes_to_its_own_devices_only(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, other: SimulatedTerminal, caller: Caller
) -> None:
    mqtt = {"unknown_devices": "ignore"}
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, mqtt=mqtt) as daemon:
        assert "reloaded: added: q; removed: p" in done(daemon, reload(daemon, {"q": device(other)}))

        ask(caller, 1, "p")
        ask(caller, 2, "q")
        assert answer(caller, 2)["code"] == "created"
        assert daemon.log.count("connected to") == 1
    assert "r1" not in daemon.log
    assert terminal.users() == []


def test_a_reload_ends_when_the_broker_has_answered_the_new_subscriptions(
    tmp_path: Path, terminal: SimulatedTerminal, other: SimulatedTerminal
) -> None:
    """Who sends to a new device after `systemctl reload` must not lose the message."""
    with (
        FakeBroker() as broker,
        Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, mqtt={"unknown_devices": "ignore"}) as daemon,
    ):
        before = broker.asked
        broker.granting.clear()
        mark = reload(daemon, {"q": device(other)})
        wait_until(lambda: broker.asked > before, timeout=PATIENCE_S, what="SUBSCRIBE")
        time.sleep(0.3)  # long enough for a reload that does not wait
        assert "reloaded: " not in daemon.log[mark:]
        broker.granting.set()
        assert "reloaded: added: q; removed: p" in done(daemon, mark)


def test_a_stop_does_not_wait_for_a_reload(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, other: SimulatedTerminal
) -> None:
    retry = {"attempts": 3, "initial_delay": 0, "max_delay": 0, "deadline": 3}
    devices = {"p": device(terminal), "q": device(other)}
    with Daemon(tmp_path / "d", broker.port, devices, retry=retry) as daemon, Hold(terminal) as hold:
        with Caller(broker.port) as caller:
            ask(caller, 1, "p")
            assert hold.reached.wait(PATIENCE_S)
            mark = reload(daemon, {"q": device(other)}, retry=retry)
            caller.subscribe("zk/bridge/info")
            info(caller, ["q"])

        assert "reloaded" not in daemon.log[mark:]
        assert daemon.stop(timeout=15) == 0


class Manager:
    """systemd's end of the notification socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hear(self) -> dict[str, str]:
        """The next message that says more than a new status."""
        while (said := self._hear_any()).keys() == {"STATUS"}:
            pass
        return said

    def hear_status(self) -> str:
        """The next message that says nothing but a new status."""
        while (said := self._hear_any()).keys() != {"STATUS"}:
            pass
        return said["STATUS"]

    def _hear_any(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())


def test_systemd_is_notified_when_a_reload_begins_and_how_it_ended(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    path = tmp_path / "notify"
    with Manager(path) as manager:
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, environment={"NOTIFY_SOCKET": str(path)})
        with daemon:
            assert manager.hear()["READY"] == "1"

            reload(daemon, {})
            begun, ended = manager.hear(), manager.hear()
            assert (begun["RELOADING"], begun["MONOTONIC_USEC"].isdecimal()) == ("1", True)
            assert ended["READY"] == "1"
            assert ended["STATUS"].endswith("; the configuration file was refused, see the log")

            reload(daemon, {"p": device(terminal), "q": device(terminal)})
            assert manager.hear()["RELOADING"] == "1"
            assert manager.hear()["STATUS"].endswith("; 2 devices, 0 requests waiting")
        assert manager.hear()["STOPPING"] == "1"


def test_systemd_shows_soon_that_the_broker_is_there(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    path = tmp_path / "notify"
    environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000000"}
    broker.stop()
    with Manager(path) as manager:
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, environment=environment)
        daemon.start(online=False)
        assert manager.hear()["STATUS"] == "waiting for the broker; 1 devices, 0 requests waiting"

        broker.start()

        while not manager.hear_status().startswith("connected by MQTT 5"):
            pass
        assert daemon.stop() == 0
