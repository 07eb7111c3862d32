"""What the next attempt to connect to the broker learns from the last one."""

import time
from typing import Any

import pytest

from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Publication
from zkbridge.mqtt.attempts import Attempts
from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.connection_state import ConnectionState
from zkbridge.mqtt.protocol_choice import Failure


class Facts(dict[str, Any]):
    """What is remembered about brokers."""

    recall = dict.get
    remember = dict.__setitem__


def attempts(facts: Facts | None = None, **settings: Any) -> Attempts:
    made = Settings.model_validate({"host": "127.0.0.1", "port": 1, "client_id": "side", **settings})
    return Attempts(made, Facts() if facts is None else facts, Publication("zk/bridge/state", b"{}"))


def state(**known: Any) -> ConnectionState:
    made = ConnectionState("5", 1, BrokerLimits(60), opened=True)
    for name, value in known.items():
        setattr(made, name, value)
    return made


FAILURES = [
    ({"opened": False}, Failure.UNREACHABLE),
    ({"overdue": True}, Failure.UNREACHABLE),
    ({}, Failure.SILENT),
    ({"refused": "no"}, Failure.REFUSED),
    ({"refused": "no", "version_refused": True}, Failure.VERSION_REFUSED),
]


@pytest.mark.parametrize(("known", "failure"), FAILURES)
def test_how_an_attempt_failed_follows_from_its_state(known: dict[str, Any], failure: Failure) -> None:
    assert state(**known).failure is failure


ENDS = [
    ("no connection", None, "5", 1.0),
    ("a refusal", {"refused": "Not authorized"}, "5", 1.0),
    ("a refused version", {"refused": "no", "version_refused": True}, "3.1.1", 1.0),
    ("an accepted connection", {"accepted_at": 0.0, "ready": True}, "5", 0.5),
    ("a comparison of versions", {"asks_again": True}, "5", 0.5),
]


@pytest.mark.parametrize(("known", "protocol", "pause_s"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_version_and_pause_follow_from_the_end(known: dict[str, Any] | None, protocol: str, pause_s: float) -> None:
    learns = attempts()

    learns.ended("5", None if known is None else state(**known), "it ended")

    assert (learns.next_protocol, learns.pause_s) == (protocol, pause_s)


def test_a_refused_retained_will_is_not_tried_again() -> None:
    learns = attempts()
    assert learns.retains_will

    learns.ended("5", state(refused="no", retain_refused=True), "refused")

    assert not learns.retains_will


@pytest.mark.parametrize(("setting", "kept"), [("auto", {"protocol 127.0.0.1:1": "5"}), ("5", {})])
def test_that_mqtt_5_works_is_kept_where_the_version_is_chosen(setting: str, kept: dict[str, Any]) -> None:
    facts = Facts()

    attempts(facts, protocol=setting).subscribed("5")

    assert facts == kept


@pytest.mark.parametrize(("topics", "named"), [([], False), (["a", "b", "c"], True), (["a", "b", "c", "d"], False)])
def test_three_short_connections_name_another_client_and_a_few_topics(
    caplog: pytest.LogCaptureFixture, topics: list[str], named: bool
) -> None:
    learns = attempts()
    for _ in range(3):
        assert "using the client id" not in caplog.text
        learns.ended("5", state(accepted_at=time.monotonic(), ready=True), "closed", under_way=topics)

    assert "using the client id 'side'" in caplog.text
    assert ("what was under way" in caplog.text) is named
