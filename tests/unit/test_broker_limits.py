"""What a CONNACK says counts."""

from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from zkbridge.contract.messages import Publication
from zkbridge.mqtt.broker_limits import FILTERS_PER_PACKET, MAX_IN_FLIGHT, BrokerLimits

WEEK = 7 * 86400


def limits(**said: Any) -> BrokerLimits:
    connack = Properties(PacketTypes.CONNACK)
    for name, value in said.items():
        setattr(connack, name, value)
    return BrokerLimits.of(connack, keepalive_s=30, session_expiry_s=WEEK)


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        ({}, "keepalive_s", 30),
        ({"ServerKeepAlive": 10}, "keepalive_s", 10),
        ({"ServerKeepAlive": 600}, "keepalive_s", 600),
        ({"ServerKeepAlive": 0}, "keepalive_s", 30),
        ({}, "in_flight", MAX_IN_FLIGHT),
        ({"ReceiveMaximum": 3}, "in_flight", 3),
        ({"ReceiveMaximum": 65535}, "in_flight", MAX_IN_FLIGHT),
        ({}, "largest_packet", None),
        ({"MaximumPacketSize": 300}, "largest_packet", 300),
        ({}, "max_qos", 2),
        ({"MaximumQoS": 0}, "max_qos", 0),
        ({}, "retain", True),
        ({"RetainAvailable": 0}, "retain", False),
        ({}, "wildcards", True),
        ({"WildcardSubscriptionAvailable": 0}, "wildcards", False),
        ({}, "session_expiry_s", WEEK),
        ({"SessionExpiryInterval": 0}, "session_expiry_s", 0),
        ({"SessionExpiryInterval": 3600}, "session_expiry_s", 3600),
    ],
)
def test_a_limit_is_that_of_connack_or_the_requested_one(said: dict[str, Any], field: str, value: int | None) -> None:
    assert getattr(limits(**said), field) == value


def test_mqtt_3_1_1_announces_no_limit() -> None:
    assert BrokerLimits.of(None, keepalive_s=30, session_expiry_s=WEEK) == BrokerLimits(30)


@pytest.mark.parametrize("count", [0, 1, FILTERS_PER_PACKET, FILTERS_PER_PACKET + 1, 16, 17, 130])
@pytest.mark.parametrize("largest", [None, 60, 149_504])
def test_filters_go_out_in_order_in_packets_that_the_broker_takes(count: int, largest: int | None) -> None:
    filters = [f"zk/+/command-{number}" for number in range(count)]
    packets = list(BrokerLimits(30, largest_packet=largest).packets(filters))

    assert [each for some in packets for each in some] == filters
    assert all(0 < len(some) <= FILTERS_PER_PACKET for some in packets)
    if largest is not None:
        assert all(8 + sum(len(each) + 3 for each in some) <= largest for some in packets)


def test_a_publication_over_the_packet_size_is_refused_with_both_numbers() -> None:
    publication = Publication("zk/p/ping/reply", b"x" * 400)
    size = publication.packet_size

    assert BrokerLimits(30, largest_packet=size).refusal(publication) is None
    assert BrokerLimits(30).refusal(publication) is None
    refusal = BrokerLimits(30, largest_packet=size - 1).refusal(publication)
    assert refusal == f"Packet too large: {size} bytes, it takes {size - 1}"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, []),
        ({"SessionExpiryInterval": WEEK}, []),
        ({"SessionExpiryInterval": 3600}, ["for 3600 s only"]),
        ({"RetainAvailable": 0}, ["no retained messages"]),
        ({"WildcardSubscriptionAvailable": 0}, ["mqtt.unknown_devices to ignore"]),
    ],
)
def test_each_limit_of_the_broker_is_reported_in_a_sentence(said: dict[str, Any], told: list[str]) -> None:
    sentences = limits(**said).shortcomings(session_expiry_s=WEEK, filters=["zk/+/ping"])

    assert len(sentences) == len(told)
    assert all(words in sentence for words, sentence in zip(told, sentences, strict=True))


def test_filters_without_a_wildcard_need_none() -> None:
    assert limits(WildcardSubscriptionAvailable=0).shortcomings(session_expiry_s=WEEK, filters=["zk/p/ping"]) == []
