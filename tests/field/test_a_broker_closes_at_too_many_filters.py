"""A broker that closes at more than 8 filters in a SUBSCRIBE kept the bridge offline for good.

Source: attack on 7bb949d, 2026-11
"""

from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.strict_broker import Limits, StrictBroker
from tests.support.waiting import wait_until


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_bridge_subscribes_with_at_most_8_filters_a_packet_and_gets_its_messages(
    tmp_path: Path, shared_broker: Mosquitto, protocol: str
) -> None:
    base = f"filters-{protocol[0]}"
    mqtt = {"base_topic": base, "unknown_devices": "ignore", "protocol": protocol}
    devices = {name: {"host": "127.0.0.1"} for name in ("p", "q")}
    with (
        StrictBroker(shared_broker.port, Limits("eight", filters_per_subscribe=8)) as proxy,
        Daemon(tmp_path / "d", proxy.port, devices, mqtt=mqtt, covered=False) as daemon,
        Caller(shared_broker.port) as caller,
    ):
        caller.subscribe(f"{base}/+/users/create/reply")
        caller.publish(f"{base}/q/users/create", b"[]")
        assert caller.wait_for(f"{base}/q/users/create/reply").json["code"] == "body_required"

        daemon.config["devices"] = {"p": {"host": "127.0.0.1"}}  # what is unsubscribed goes in packets too
        daemon.stop()
        daemon.start()
        wait_until(lambda: daemon.log.count(" connected to ") == 2)

        assert proxy.violations == []
        assert proxy.connects == 2
