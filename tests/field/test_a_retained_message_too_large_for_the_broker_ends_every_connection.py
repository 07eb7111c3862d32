"""Home Assistant's discovery was over the broker's `message_size_limit`: the bridge reconnected for ever.

Source: attack on 7bb949d, 2026-11
"""

import json
import re
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.strict_broker import StrictBroker
from tests.support.waiting import wait_until

DEVICES = {"p": {"host": "127.0.0.1"}}
LARGEST = 1500


def test_mosquitto_refuses_it_and_the_bridge_stays_online(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "m", message_size_limit=LARGEST) as broker,
        Daemon(tmp_path / "d", broker.port, DEVICES, homeassistant={"discovery": True}, covered=False) as daemon,
        Caller(broker.port) as caller,
    ):
        wait_until(lambda: "refuses what is published on homeassistant/" in daemon.log)
        caller.subscribe("zk/#")
        caller.publish("zk/p/ping", b"[]")

        assert caller.wait_for("zk/p/ping/reply").json["code"] == "body_required"
        named = set(
            re.findall(
                r"refuses what is published on (homeassistant/\S+) \(Packet too large; without a user", daemon.log
            )
        )
        assert named
        assert daemon.log.count(" connected to ") == 1


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_closes_at_it_gets_all_the_rest(tmp_path: Path, shared_broker: Mosquitto, protocol: str) -> None:
    base, prefix = f"closes-{protocol[0]}", f"ha-{protocol[0]}"
    mqtt = {"base_topic": base, "protocol": protocol}
    discovery = {"discovery": True, "prefix": prefix}

    def closes_at(topic: str, size: int) -> bool:
        return topic.startswith(prefix) and topic.endswith("p/config") and size > 0

    with (
        StrictBroker(shared_broker.port, closes_at=closes_at) as proxy,
        Daemon(tmp_path / "d", proxy.port, DEVICES, mqtt=mqtt, homeassistant=discovery, covered=False) as daemon,
        Caller(shared_broker.port) as caller,
    ):
        caller.subscribe(f"{base}/#")
        wait_until(lambda: "the broker ends the connection when" in daemon.log, timeout=40)
        wait_until(lambda: daemon.log.count(" connected to ") == 4, timeout=40)
        caller.publish(f"{base}/p/ping", b"[]")
        assert caller.wait_for(f"{base}/p/ping/reply").json["code"] == "body_required"
        caller.wait_for(f"{base}/bridge/state", lambda message: message.json["state"] == "online")
        said = caller.wait_for(f"{base}/bridge/health", lambda message: json.loads(message.payload)["refused"])
        assert said.json["refused"] == [f"{prefix}/device/zkbridge_{base}/p/config"]
