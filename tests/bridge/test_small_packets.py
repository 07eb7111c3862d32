"""A broker that takes only small packets: the bridge is there all the same, and says what it had to leave out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.contract.messages import Publication
from zkbridge.simulator import Simulator, TerminalConfig

#: Less than what the bridge tells of itself, and than its subscriptions in one packet.
LARGEST = 300


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", max_packet_size=LARGEST) as broker:
        yield broker


def test_the_bridge_is_online_and_answers(tmp_path: Path, broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        devices = {f"planta-baja-{number}": device(terminal) for number in range(8)}
        daemon = Daemon(tmp_path / "d", broker.port, devices, mqtt={"unknown_devices": "ignore"})
        with Caller(broker.port) as caller, daemon:
            caller.subscribe("zk/#", no_local=True)
            assert caller.wait_for("zk/bridge/state", timeout=20).json["state"] == "online"
            for name in devices:
                caller.publish(f"zk/{name}/ping", {})
                assert caller.wait_for(f"zk/{name}/ping/reply", timeout=20).json["success"]

    assert daemon.log.count("connected to") == 1, "it was hung up on"
    told = [line for line in daemon.log.splitlines() if "the broker refuses what is published" in line]
    assert any(
        "on zk/bridge/info (Packet too large: " in line
        and f"it takes {LARGEST}; without a user name; docs/brokers.md#what" in line
        for line in told
    )


def test_a_reply_is_sent_up_to_the_last_byte_that_the_broker_takes(tmp_path: Path, broker: Mosquitto) -> None:
    devices = {"p": {"host": "127.0.0.1"}}
    topic = "zk/p/users/delete"
    with Daemon(tmp_path / "d", broker.port, devices) as daemon, Caller(broker.port) as caller:
        caller.subscribe(f"{topic}/reply")
        caller.publish(topic, {})
        reply = caller.wait_for(f"{topic}/reply")
        told = {"status": 400, "code": reply.json["code"], "command": "users/delete"}
        fixed = Publication(reply.topic, reply.payload, correlation_data=b"", **told)
        room = LARGEST - fixed.packet_size

        caller.publish(topic, {}, correlation_data=b"c" * room)
        assert (
            caller.wait_for(f"{topic}/reply", lambda message: message.correlation_data).correlation_data == b"c" * room
        )
        caller.publish(topic, {}, correlation_data=b"c" * (room + 1))
        sentence = f"has {LARGEST + 1} bytes, the broker takes {LARGEST}: kept, not sent"
        wait_until(lambda: sentence in daemon.log, what="the larger one to be set aside")

    assert daemon.log.count("connected to") == 1
