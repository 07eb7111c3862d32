"""PUBLISH packets that paho cannot read, and those that it can."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import _packet
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from zkbridge.contract.messages import Message
from zkbridge.contract.publish_packets import Unreadable, read_packet
from zkbridge.mqtt.publish_packets import as_paho, message_of

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff"), max_size=10)
USED = ("ResponseTopic", "CorrelationData", "MessageExpiryInterval")


def text(value: bytes) -> bytes:
    return struct.pack("!H", len(value)) + value


def read(header: int, body: bytes, *, five: bool, reason: str) -> MQTTMessage | Unreadable:
    found = read_packet(header, body, five=five, reason=reason)
    return found if isinstance(found, Unreadable) else as_paho(found, five=five)


def read_five(header: int, body: bytes) -> MQTTMessage | Unreadable:
    return read(header, body, five=True, reason="why")


@st.composite
def packets(draw: st.DrawFn) -> tuple[int, bytes]:
    """A packet that breaks no rule, by paho's own hand."""
    properties = Properties(PacketTypes.PUBLISH)
    given_ = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "ResponseTopic": TEXTS,
                "CorrelationData": st.binary(max_size=10),
                "MessageExpiryInterval": st.integers(0, 2**32 - 1),
                "ContentType": TEXTS,
                "PayloadFormatIndicator": st.integers(0, 1),
                "TopicAlias": st.integers(1, 65535),
                "UserProperty": st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3),
                "SubscriptionIdentifier": st.lists(st.integers(1, 268435455), min_size=1, max_size=3),
            },
        )
    )
    for name, value in given_.items():
        setattr(properties, name, value)
    qos = draw(st.integers(0, 1))
    header = 0x30 | qos << 1 | draw(st.booleans()) << 3 | draw(st.booleans())
    mid = struct.pack("!H", draw(st.integers(1, 65535))) if qos else b""
    topic = draw(TEXTS.filter(bool)).encode()
    return header, text(topic) + mid + properties.pack() + draw(st.binary(max_size=20))


@given(packets())
def test_what_paho_can_read_is_read_as_paho_reads_it(packet: tuple[int, bytes]) -> None:
    header, body = packet
    theirs = _packet.decode_publish(header, body, MQTTProtocolVersion.MQTTv5)

    ours = read_five(header, body)

    assert isinstance(ours, MQTTMessage)
    assert (ours.topic.encode(), ours.mid, ours.qos, ours.dup, ours.retain, ours.payload) == (
        theirs.topic,
        theirs.mid,
        theirs.qos,
        theirs.dup,
        theirs.retain,
        theirs.payload,
    )
    for name in USED:
        assert getattr(ours.properties, name, None) == getattr(theirs.properties, name, None)
    packet_read = read_packet(header, body, five=True, reason="why")
    assert not isinstance(packet_read, Unreadable)
    assert list(packet_read.user_properties) == getattr(theirs.properties, "UserProperty", [])


@given(st.integers(0x30, 0x3F), st.binary(max_size=60), st.booleans())
def test_no_bytes_make_either_reader_raise_anything_else(header: int, body: bytes, five: bool) -> None:
    protocol = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
    with contextlib.suppress(MalformedPacket):
        _packet.decode_publish(header, body, protocol)

    message_of(read(header, body, five=five, reason="why"), connection=1, waited_s=0)


@given(packets(), st.data())
def test_a_packet_that_was_spoilt_somewhere_is_read_or_unreadable(
    packet: tuple[int, bytes], data: st.DataObject
) -> None:
    header, body = packet
    spoilt = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedPacket):
        _packet.decode_publish(header, bytes(spoilt), MQTTProtocolVersion.MQTTv5)

    assert isinstance(message_of(read_five(header, bytes(spoilt)), connection=1, waited_s=0), (Message, Unreadable))


def test_properties_before_the_one_that_cannot_be_read_count() -> None:
    region = b"\x02\0\0\0\x05" + b"\x08" + text(b"zk/replies/a") + b"\x7f" + b"\x09" + text(b"lost")

    message = message_of(
        read_five(0x32, text(b"zk/p/ping") + b"\0\x07" + bytes((len(region),)) + region + b"{}"),
        connection=3,
        waited_s=0.5,
    )

    assert message == Message(
        "zk/p/ping", b"{}", qos=1, mid=7, connection=3, response_topic="zk/replies/a", expires_in_s=5, waited_s=0.5
    )


@pytest.mark.parametrize(
    ("header", "body", "mid", "topic"),
    [
        (0x32, text(b"zk/p/ping") + b"\0\x07", 7, "zk/p/ping"),
        (0x32, text(b"zk/p/ping") + b"\0\x07\x05a", 7, "zk/p/ping"),
        (0x32, text(b"zk/p/ping") + b"\0", 0, ""),
        (0x32, text(b"") + b"\0\x07\0", 7, ""),
        (0x32, b"\xff\xffabc", 0, ""),
        (0x32, b"", 0, ""),
        (0x34, text(b"zk/p/ping") + b"\0\x07\0{}", 7, "zk/p/ping"),
        (0x36, text(b"zk/p/ping") + b"\0\x07\0{}", 7, "zk/p/ping"),
        (0x30, text(b"zk/p/ping") + b"\x05", 0, "zk/p/ping"),
    ],
)
def test_of_what_cannot_be_read_the_packet_identifier_is_found_where_it_is(
    header: int, body: bytes, mid: int, topic: str
) -> None:
    unread = read_five(header, body)

    assert isinstance(unread, Unreadable)
    assert (unread.qos, unread.mid, unread.topic, unread.reason) == (header >> 1 & 3, mid, topic, "why")


def test_the_same_message_under_another_packet_identifier_has_the_same_content() -> None:
    one, two = (read_five(0x32, text(b"zk/p/ping") + mid + b"\x05a") for mid in (b"\0\x07", b"\0\x08"))

    assert isinstance(one, Unreadable)
    assert isinstance(two, Unreadable)
    assert one.content == two.content
    assert one.mid != two.mid
