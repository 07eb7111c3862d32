"""`zkbridge devices`: the bridge and its devices as the broker retains them."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.mosquitto import Mosquitto
from tests.support.running import Running
from zkbridge.cli.devices import Snapshot
from zkbridge.client.connection import Guest
from zkbridge.config.models import Mqtt
from zkbridge.contract.messages import Message, encode
from zkbridge.contract.topics import Topics


def devices(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zkbridge", "devices", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_shows_each_device_and_exits_0_if_the_bridge_is_online(bridge: Running) -> None:
    with Caller(bridge.broker.port) as caller:
        caller.subscribe("zk/principal/availability")
        caller.publish("zk/principal/ping", {})
        caller.wait_for("zk/principal/availability", lambda message: message.json["state"] == "online")

    shown = devices("--config", str(bridge.config))

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[0].startswith("bridge online, zkbridge ")
    assert ["principal", "online"] in [line.split() for line in shown.stdout.splitlines()]

    told = json.loads(devices("--config", str(bridge.config), "--json").stdout)
    assert told["bridge"] == "online"
    assert {"device": "principal", "state": "online", "reason": "", "address": ""} in told["devices"]


def test_a_broker_without_a_bridge_is_exit_code_4(broker: Mosquitto) -> None:
    shown = devices("--broker", f"127.0.0.1:{broker.port}")

    assert shown.returncode == 4
    assert shown.stdout.splitlines()[0] == "bridge unknown"


def test_a_broker_that_is_not_there_is_exit_code_4_and_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("mqtt: {host: 127.0.0.1, port: 1}\ndevices: {p: {host: 127.0.0.1}}\n")

    shown = devices("--config", str(config))

    assert (shown.returncode, shown.stdout) == (4, "")
    assert len(shown.stderr.splitlines()) == 1


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot(Topics("zk"))


def test_no_device_counts_as_online_while_the_bridge_is_not(snapshot: Snapshot) -> None:
    snapshot.take(Message("zk/bridge/info", encode({"version": "1", "devices": ["p", "q"]})))
    snapshot.take(Message("zk/p/availability", encode({"state": "online"})))
    snapshot.take(Message("zk/bridge/state", encode({"state": "offline"})))

    assert not snapshot.is_whole
    assert [(row["device"], row["state"]) for row in snapshot.rows()] == [("p", "unknown"), ("q", "unknown")]


def test_what_is_no_message_of_the_bridge_changes_nothing(snapshot: Snapshot) -> None:
    for topic, payload in (("zk/bridge/state", b"\xff"), ("zk/bridge/info", b"[]"), ("zk/p", b"{}"), ("other", b"{}")):
        snapshot.take(Message(topic, payload))

    assert (snapshot.state, snapshot.version, snapshot.rows()) == ("unknown", "", [])


def test_a_caller_sends_small_packets_at_once(broker: Mosquitto) -> None:
    with Guest(Mqtt(host="127.0.0.1", port=broker.port)) as guest:
        connected = guest._client.socket()

        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # type: ignore[attr-defined]  # a real socket
