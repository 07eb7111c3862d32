"""A port that accepted and closed twice (HAProxy, `ssh -L`) took MQTT 5 from the bridge for good.

Source: attack on 7bb949d, 2026-11
"""

from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from tests.support.strict_broker import StrictBroker
from tests.support.waiting import wait_until


@pytest.mark.parametrize("closes", [2, 3])
def test_mqtt_5_is_used_however_often_the_proxy_closed_before(
    tmp_path: Path, shared_broker: Mosquitto, closes: int
) -> None:
    base = f"proxied{closes}"
    with StrictBroker(closed_port()) as proxy:
        daemon = Daemon(
            tmp_path / "d", proxy.port, {"p": {"host": "127.0.0.1"}}, mqtt={"base_topic": base}, covered=False
        )
        daemon.start(online=False)
        try:
            wait_until(lambda: proxy.accepted >= closes, what="the bridge to try")
            proxy.behind = shared_broker.port
            wait_until(lambda: " connected to " in daemon.log, timeout=30)
            assert "by MQTT 5," in daemon.log
            assert "it closed the connection without an answer to CONNECT" in daemon.log
            with Caller(shared_broker.port) as caller:
                topic = f"{base}/replies/me"
                caller.subscribe(topic)
                caller.publish(f"{base}/p/users/create", b"[]", response_topic=topic, correlation_data=b"c")
                assert caller.wait_for(topic).correlation_data == b"c"
        finally:
            assert daemon.stop() == 0
