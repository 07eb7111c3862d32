"""What Home Assistant finds at the broker, and what is left there when it is over."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal

#: A machine may have much else to do.
PATIENCE_S = 40
USER = {"user_id": "7", "name": "Ana Quispe", "password": "4711", "card": 12345678}
ON = {"discovery": True}
ANNOUNCED = "homeassistant/device/zkbridge_zk/{}/config"


def bridge(folder: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal], **more: Any) -> Daemon:
    devices = {name: device(terminal) for name, terminal in terminals.items()}
    return Daemon(folder, broker.port, devices, **{"homeassistant": ON, "probe_interval": 300, **more})


def kept(broker: Mosquitto) -> dict[str, Any]:
    """Everything of ours that a newcomer is told, topic by topic."""
    with Caller(broker.port) as caller:
        caller.subscribe("homeassistant/#")
        caller.subscribe("zk/#")
        caller.publish("zk/end", b"1")
        caller.wait_for("zk/end")
        return {message.topic: message.json for message in caller.messages if message.retain}


def reload(daemon: Daemon) -> None:
    (daemon.folder / "config.yaml").write_text(json.dumps(daemon.config))
    os.kill(daemon.pid, signal.SIGHUP)


@pytest.fixture
def terminals(simulator: Simulator) -> dict[str, SimulatedTerminal]:
    return {name: simulator.add(TerminalConfig(profile="tft")) for name in ("principal", "entrada")}


def test_without_it_nothing_is_published_for_home_assistant(
    tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal]
) -> None:
    with bridge(tmp_path / "d", broker, terminals, homeassistant={}), Caller(broker.port) as caller:
        caller.subscribe("zk/principal/#")
        caller.publish("zk/principal/users/create", USER)
        caller.wait_for("zk/principal/users/create/reply", timeout=PATIENCE_S)

    assert not [topic for topic in kept(broker) if topic.startswith("homeassistant/") or topic.endswith("/status")]


def test_every_device_is_announced_and_its_status_follows_what_happens(
    tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal]
) -> None:
    with bridge(tmp_path / "d", broker, terminals), Caller(broker.port) as caller:
        caller.subscribe("zk/principal/status")
        caller.wait_for("zk/principal/status", lambda message: message.json["users"] == 0, timeout=PATIENCE_S)
        caller.publish("zk/principal/users/create", USER)
        created = caller.wait_for("zk/principal/status", lambda message: message.json["last_user"], timeout=PATIENCE_S)
        terminals["principal"].power_off()
        caller.publish("zk/principal/ping", "{}")
        failed = caller.wait_for("zk/principal/status", lambda message: message.json["last_error"], timeout=PATIENCE_S)

        about = kept(broker)[ANNOUNCED.format("principal")]["device"]
        assert (about["model"], about["serial_number"]) == ("K40/ID", "A8N5184260172")
        assert about["sw_version"].startswith("Ver 6.60")
        assert failed.json["clock_drift_s"] == 0
        assert {topic for topic in kept(broker) if "homeassistant" in topic} == {
            ANNOUNCED.format(each) for each in ("bridge", "principal", "entrada")
        }
    assert (created.json["users"], created.json["last_user"]["user_id"]) == (1, "7")
    error = failed.json["last_error"]
    assert error["code"] == "device_unreachable"
    assert error["error"] == f"Connection refused by device 127.0.0.1:{terminals['principal'].port}"
    assert failed.json["last_user"] == created.json["last_user"]
    said = json.dumps([message.json for message in caller.messages])
    assert not [secret for secret in ("4711", "12345678", "Quispe") if secret in said]


def test_a_lock_opens_for_its_seconds_and_the_order_to_lock_changes_nothing(
    tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal]
) -> None:
    daemon = bridge(tmp_path / "d", broker, terminals)
    daemon.config["devices"]["principal"]["door"] = {"enabled": True, "trust_clock": True}
    with daemon, Caller(broker.port) as caller:
        wait_until(lambda: kept(broker).get("zk/principal/status", {}).get("users") == 0, timeout=PATIENCE_S)
        lock = kept(broker)[ANNOUNCED.format("principal")]["components"]["lock"]
        for topic in ("zk/principal/status", "zk/principal/door/unlock/reply"):
            caller.subscribe(topic)
        caller.publish(lock["command_topic"], lock["payload_lock"].encode())
        refused = caller.wait_for("zk/principal/door/unlock/reply", timeout=PATIENCE_S).json
        caller.publish(lock["command_topic"], b'{"seconds":1}')
        caller.wait_for("zk/principal/status", lambda message: message.json["lock"] == "locked", timeout=PATIENCE_S)
        states = [each.json["lock"] for each in caller.messages if each.topic == "zk/principal/status"]

    assert refused["code"] == "invalid_field"
    assert [state for state, before in zip(states, [..., *states], strict=False) if state != before][-2:] == [
        "unlocked",
        "locked",
    ]


def test_what_is_known_of_a_terminal_outlives_the_bridge(
    tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal]
) -> None:
    daemon = bridge(tmp_path / "d", broker, terminals)
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/principal/#")
        caller.publish("zk/principal/users/create", USER)
        assert caller.wait_for("zk/principal/users/create/reply", timeout=PATIENCE_S).json["success"]
    before = kept(broker)["zk/principal/status"]
    broker.kill()
    broker.start()  # and the broker has forgotten everything
    terminals["principal"].power_off()
    with daemon:
        wait_until(lambda: kept(broker).get("zk/principal/status"), timeout=PATIENCE_S)
        after = kept(broker)["zk/principal/status"]

    assert before["last_user"]["user_id"] == "7"
    assert {**after, "last_error": None} == before


def test_a_birth_is_answered(tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal]) -> None:
    with bridge(tmp_path / "d", broker, terminals) as daemon, Caller(broker.port) as caller:
        wait_until(lambda: daemon.log.count(" online") >= 2, timeout=PATIENCE_S)
        caller.subscribe("homeassistant/#", retain_handling=2)
        caller.publish("homeassistant/status", b"online")

        for each in ("bridge", "principal", "entrada"):
            assert not caller.wait_for(ANNOUNCED.format(each), timeout=PATIENCE_S).retain


def test_a_device_that_a_reload_removes_is_removed_there_too(
    tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal]
) -> None:
    with bridge(tmp_path / "d", broker, terminals) as daemon:
        wait_until(
            lambda: {ANNOUNCED.format("entrada"), "zk/entrada/status"} <= kept(broker).keys(), timeout=PATIENCE_S
        )
        gone = daemon.config["devices"].pop("entrada")
        reload(daemon)
        wait_until(lambda: not [topic for topic in kept(broker) if "entrada" in topic], timeout=PATIENCE_S)
        assert ANNOUNCED.format("principal") in kept(broker)

        daemon.config["devices"]["entrada"] = gone
        reload(daemon)
        wait_until(
            lambda: {ANNOUNCED.format("entrada"), "zk/entrada/status"} <= kept(broker).keys(), timeout=PATIENCE_S
        )


def test_switched_off_again_it_takes_everything_away(
    tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal]
) -> None:
    daemon = bridge(tmp_path / "d", broker, terminals)
    with daemon:
        wait_until(lambda: ANNOUNCED.format("bridge") in kept(broker), timeout=PATIENCE_S)
    daemon.config["homeassistant"] = {"discovery": False}
    with daemon:
        wait_until(
            lambda: not [topic for topic in kept(broker) if "homeassistant" in topic or "status" in topic],
            timeout=PATIENCE_S,
        )
        wait_until(lambda: "messages for removed devices have been cleared" in daemon.log, timeout=PATIENCE_S)


@pytest.mark.parametrize("topic", ["homeassistant/device/zkbridge_zk/bridge/config", "zk/principal/status"])
def test_no_caller_can_make_the_bridge_publish_it(
    tmp_path: Path, broker: Mosquitto, terminals: dict[str, SimulatedTerminal], topic: str
) -> None:
    mqtt = {"response_topics": ["#"]}
    with bridge(tmp_path / "d", broker, terminals, mqtt=mqtt), Caller(broker.port) as caller:
        caller.subscribe("zk/principal/ping/reply")
        caller.publish("zk/principal/ping", "{}", response_topic=topic)

        assert caller.wait_for("zk/principal/ping/reply", timeout=PATIENCE_S).json["response_topic_refused"]
