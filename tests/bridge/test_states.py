"""Retained state: the bridge's, its info, each device's availability; what happens to retained commands."""

import json
from pathlib import Path
from typing import Any

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from tests.support.waiting import wait_until
from zkbridge import __version__
from zkbridge.commands import commands
from zkbridge.simulator import SimulatedTerminal

USER = {"user_id": "1", "name": "Ana"}


def retained(port: int, topic: str, protocol: int = 5) -> Any:
    """What a newcomer is told on a topic, once something is kept there."""

    def told() -> Any:
        with Caller(port, protocol) as caller:
            caller.subscribe(topic)
            message = caller.wait_for(topic)
            return message.retain and message.json

    return wait_until(told, timeout=20)


def test_state_and_info_are_retained_and_have_no_secret(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    locked = device(terminal, comm_key=778899)
    daemon = Daemon(tmp_path / "d", broker.port, {"principal": locked, "entrada": device(terminal)})
    with daemon:
        state = retained(broker.port, "zk/bridge/state")
        info = retained(broker.port, "zk/bridge/info")

        assert state["state"] == "online"
        assert info == {
            "version": __version__,
            "protocol": "5",
            "devices": ["principal", "entrada"],
            "groups": {},
            "commands": list(commands()),
            "instance": state["instance"],
        }
        assert "778899" not in json.dumps(info)
    assert retained(broker.port, "zk/bridge/state") == {**state, "state": "offline"}


def test_the_broker_publishes_the_will_of_a_bridge_that_was_killed(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    daemon = Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)})
    daemon.start()
    online = retained(broker.port, "zk/bridge/state")
    daemon.kill()

    wait_until(lambda: retained(broker.port, "zk/bridge/state") == {**online, "state": "offline"})


def test_a_late_will_does_not_mark_a_newer_run_dead(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}) as daemon:
        with Caller(broker.port) as caller:
            caller.publish("zk/bridge/state", '{"state":"offline","instance":"an earlier one"}', retain=True)
        wait_until(lambda: "saying online again" in daemon.log)

        wait_until(lambda: retained(broker.port, "zk/bridge/state")["state"] == "online")


def test_everything_retained_is_published_again_after_a_broker_that_lost_it(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}) as daemon:
        with Caller(broker.port) as caller:
            caller.subscribe("zk/#")
            caller.publish("zk/principal/users/create", USER)
            assert caller.wait_for("zk/principal/users/create/reply").json["success"]
        broker.kill()
        broker.start()
        wait_until(lambda: daemon.log.count("connected to") == 2, timeout=20)

        assert retained(broker.port, "zk/bridge/state")["state"] == "online"
        assert retained(broker.port, "zk/bridge/info")["devices"] == ["principal"]
        assert retained(broker.port, "zk/principal/availability") == {"state": "online"}


def test_availability_follows_the_terminal(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> None:
    devices = {"principal": device(terminal), "apagada": {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}}
    with Daemon(tmp_path / "d", broker.port, devices, probe_interval=300), Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        assert caller.wait_for("zk/principal/availability").json == {"state": "online"}
        offline = caller.wait_for("zk/apagada/availability")
        port = devices["apagada"]["port"]
        assert offline.json == {"state": "offline", "reason": f"Connection refused by device 127.0.0.1:{port}"}

        terminal.power_off()
        caller.publish("zk/principal/users/create", USER)
        assert caller.wait_for("zk/principal/availability", timeout=20).json["state"] == "offline"
        caller.wait_for("zk/principal/users/create/reply", timeout=20)
        terminal.power_on()
        caller.publish("zk/principal/users/create", USER)
        assert caller.wait_for("zk/principal/availability", timeout=20).json == {"state": "online"}


def test_a_probe_does_not_disable_the_terminal(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> None:
    with Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}, probe_interval=300) as daemon:
        wait_until(lambda: "device=principal online" in daemon.log)

    assert terminal.disabled_spans() == []


def test_a_retained_command_kept_by_the_broker_is_refused_once(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    mqtt = {"protocol": "3.1.1"}
    with Caller(broker.port, "3.1.1") as caller:
        caller.subscribe("zk/#")
        caller.publish("zk/principal/users/create", USER, retain=True)
        for _ in range(2):
            daemon = Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}, mqtt=mqtt)
            with daemon:
                if not _:
                    answer = caller.wait_for("zk/principal/users/create/reply").json
                    assert (answer["status"], answer["code"]) == (409, "retained_refused")
                wait_until(lambda n=_, d=daemon: d.log.count("is not executed; clear it") == n + 1)
                caller.publish("zk/principal/users/create", "[]")
                assert caller.wait_for("zk/principal/users/create/reply").json["code"] == "body_required"

    assert terminal.users() == []


def test_a_bridge_that_shares_its_base_topic_leaves_others_devices_alone(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    mqtt = {"unknown_devices": "ignore"}
    daemon = Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)})
    with daemon:
        pass  # it has subscribed to every device, and its session is kept
    daemon.config["mqtt"].update(mqtt)
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.publish("zk/bodega/users/create", USER)
        caller.publish("zk/principal/users/create", USER)
        assert caller.wait_for("zk/principal/users/create/reply").json["success"]
        assert not [m for m in caller.messages if m.topic.startswith("zk/bodega/") and m.topic.endswith("reply")]
