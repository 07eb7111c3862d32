"""A broker without retained messages, or with QoS 0 only, got "Unspecified error" into the log and no bridge.

Source: attack on 7bb949d, 2026-11
"""

from pathlib import Path

from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.strict_broker import Limits, StrictBroker, announced
from tests.support.waiting import wait_until

DEVICES = {"p": {"host": "127.0.0.1"}}


def answers(port: int, base: str) -> bool:
    with Caller(port) as caller:
        caller.subscribe(f"{base}/p/ping/reply")
        caller.publish(f"{base}/p/ping", b"[]")
        return caller.wait_for(f"{base}/p/ping/reply").json["code"] == "body_required"


def test_mosquitto_without_retained_messages_has_a_bridge_that_answers(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "m", extra=["retain_available false"]) as broker,
        Daemon(tmp_path / "d", broker.port, DEVICES, covered=False) as daemon,
    ):
        assert answers(broker.port, "zk")
        assert "the broker keeps no retained messages" in daemon.log
        assert daemon.log.count(" connected to ") == 1


def test_a_broker_without_retain_in_connack_gets_nothing_retained(tmp_path: Path, shared_broker: Mosquitto) -> None:
    forgetful = Limits("forgetful", retain=False, announced=announced(retain=False))
    mqtt = {"base_topic": "forgetful"}
    with (
        StrictBroker(shared_broker.port, forgetful) as proxy,
        Daemon(
            tmp_path / "d",
            proxy.port,
            DEVICES,
            mqtt=mqtt,
            homeassistant={"discovery": True, "prefix": "ha-f"},
            covered=False,
        ),
    ):
        assert answers(shared_broker.port, "forgetful")
        assert proxy.violations == []


def test_a_broker_that_takes_qos_0_only_is_named_as_that(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "m", extra=["max_qos 0"]) as broker:
        daemon = Daemon(tmp_path / "d", broker.port, DEVICES, covered=False)
        daemon.start(online=False)
        wait_until(lambda: "it takes messages at QoS 0 only" in daemon.log)
        assert daemon.stop() == 0


def test_a_shorter_session_is_logged(tmp_path: Path, shared_broker: Mosquitto) -> None:
    eight_hours = Limits("eight hours", announced=announced(session_expiry_s=28_800))
    mqtt = {"base_topic": "shorter"}
    with (
        StrictBroker(shared_broker.port, eight_hours) as proxy,
        Daemon(tmp_path / "d", proxy.port, DEVICES, mqtt=mqtt, covered=False) as daemon,
    ):
        wait_until(lambda: "keeps commands for a bridge that is away for 28800 s only" in daemon.log)
