"""A broker whose CONNACK shortened the keep alive dropped the connection every few seconds.

Source: attack on 7bb949d, 2026-11
"""

from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.strict_broker import Limits, StrictBroker, announced
from tests.support.waiting import wait_until


def test_the_bridge_pings_as_often_as_the_broker_asks(tmp_path: Path, shared_broker: Mosquitto) -> None:
    hasty = Limits("hasty", keepalive_s=1, announced=announced(keepalive_s=1))
    mqtt = {"base_topic": "keepalive", "keepalive": 90}
    with (
        StrictBroker(shared_broker.port, hasty) as proxy,
        Daemon(tmp_path / "d", proxy.port, {"p": {"host": "127.0.0.1"}}, mqtt=mqtt, covered=False) as daemon,
    ):
        wait_until(lambda: proxy.pings >= 2 or proxy.violations)

        assert proxy.violations == []
        assert daemon.log.count(" connected to ") == 1
