"""Over MQTT 3.1.1 a broker confirms the punch that it refuses: the bridge forgot it, and it was lost without a word.

Source: attack on 7bb949d, 2026-11
"""

from datetime import datetime
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.strict_broker import StrictBroker
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

NOT_AUTHORIZED = 0x87
NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_it_is_kept_named_and_published_when_the_broker_takes_it(
    tmp_path: Path, shared_broker: Mosquitto, protocol: str
) -> None:
    base = f"refusing-{protocol[0]}"
    event = f"{base}/p/attendance/event"
    refused = {event: NOT_AUTHORIZED}
    with (
        Simulator() as simulator,
        StrictBroker(shared_broker.port, refuse=lambda topic, _retain: refused.get(topic)) as proxy,
        Caller(shared_broker.port) as caller,
    ):
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.add_user("1", "Ana")
        devices = {"p": device(terminal, attendance="live")}
        with Daemon(
            tmp_path / "d", proxy.port, devices, mqtt={"base_topic": base, "protocol": protocol}, covered=False
        ) as daemon:
            caller.subscribe(f"{base}/#")
            wait_until(lambda: "listened to for the first time" in daemon.log, timeout=30)
            assert terminal.punch("1", when=NINE)
            wait_until(lambda: f"the broker refuses punches on {event}" in daemon.log, timeout=30)
            assert [message for message in caller.messages if message.topic == event] == []

            proxy.cut()  # else the daemon tries again in a minute
            caller.wait_for(f"{base}/bridge/health", lambda message: message.json["refused"] == [event], timeout=30)
            refused.clear()
            proxy.cut()
            assert caller.wait_for(event, timeout=30).json["user_id"] == "1"
            wait_until(lambda: f"punches on {event} are taken again" in daemon.log, timeout=30)
