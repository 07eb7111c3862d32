"""Where a Response Topic may point."""

from typing import Any

import pytest

from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.contract.topics import Topics
from zkbridge.intake.addressing import Addressing

TOPICS = Topics("zk")
OWN = [
    TOPICS.state,
    TOPICS.info,
    TOPICS.health,
    "zk/bridge/anything",
    *(make("p") for make in (TOPICS.availability, TOPICS.punches, TOPICS.status)),
    *(make("p", name) for name in commands() for make in (TOPICS.command, TOPICS.reply, TOPICS.progress)),
    "zk/elsewhere/users/create/reply",
    "zk//ping/reply",
    "zk/replies/ping",
    "zk/replies/users/create/reply",
    "homeassistant/device/zkbridge_zk/p/config",
    "homeassistant/sensor/x/config",
    "homeassistant/status",
]


def rules(*allowed: Any, **more: Any) -> Addressing:
    mqtt = {"response_topics": list(allowed)} if allowed else {}
    config = Config.model_validate({"devices": {"p": {"host": "192.0.2.1"}}, "mqtt": mqtt, **more})
    return Addressing(config, commands(), [TOPICS.command("+", name) for name in commands()])


@pytest.mark.parametrize("topic", OWN)
@pytest.mark.parametrize("allowed", [(), ("#",), ("+/+/#", "zk/#")])
def test_a_topic_of_the_bridges_own_is_refused_whatever_is_allowed(topic: str, allowed: tuple[str, ...]) -> None:
    assert not rules(*allowed).allows(topic, "p")


@pytest.mark.parametrize(
    ("topic", "device", "allowed"),
    [
        ("zk/replies/me", "p", True),
        ("zk/replies", "p", True),  # `#` covers the level above it (MQTT 5, 4.7.1.2)
        ("zk/replies/a/b/c", "planta", True),
        ("zk/p/replies/me", "p", True),
        ("zk/planta/replies/me", "planta", True),
        ("zk/p/replies/me", "q", False),
        ("zk/p/mine", "p", False),
        ("zk/p", "p", False),
        ("zk/p/users/create/replies/x", "p", False),
        ("zk/p/attendance", "p", False),
        ("zkreplies/x", "p", False),
        ("other", "p", False),
        ("", "p", False),
        ("$SYS/x", "p", False),
        ("zk/replies/#", "p", False),
        ("zk/replies/+", "p", False),
        ("zk/replies/\0", "p", False),
        ("zk/replies/\ud800", "p", False),
        ("zk/replies/" + "x" * 70_000, "p", False),
    ],
)
def test_by_default_replies_go_below_replies_of_the_base_topic_or_of_the_device(
    topic: str, device: str, allowed: bool
) -> None:
    assert rules().allows(topic, device) is allowed


def test_a_configuration_may_allow_other_topics() -> None:
    assert rules("office/{device}/in").allows("office/p/in", "p")
    assert not rules("office/{device}/in").allows("zk/replies/me", "p")


def test_no_list_at_all_refuses_every_response_topic() -> None:
    config = Config.model_validate({"devices": {"p": {"host": "192.0.2.1"}}, "mqtt": {"response_topics": []}})
    assert not Addressing(config, commands(), []).allows("zk/replies/me", "p")
