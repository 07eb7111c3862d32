"""PUBLISH packets that paho 2.2 cannot read, read as far as the bridge needs them.

paho refuses U+FEFF in a property, which MQTT 5 allows (section 1.5.4) and brokers pass on; and a broker brings a
message that was not acknowledged again on the next connection, for ever.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from zkbridge.contract.messages import Message

# Property identifiers of PUBLISH (MQTT 5, 2.2.2.2 and 3.3.2.3). Fixed lengths in bytes; the others tell their length.
_FIXED = {1: 1, 2: 4, 35: 2}  # payload format indicator, message expiry interval, topic alias
_EXPIRY, _RESPONSE_TOPIC, _CORRELATION, _SUBSCRIPTION_ID, _USER_PROPERTY = 2, 8, 9, 11, 38
_ONE_STRING = {3, _RESPONSE_TOPIC, _CORRELATION}  # content type is 3
_LONGEST_NUMBER = 4  # bytes of a variable byte integer (MQTT 5, 1.5.5)


class Unreadable(NamedTuple):
    """A PUBLISH that cannot be read: `content` is all of it but its packet identifier, which is 0 if not found."""

    qos: int
    mid: int
    topic: str
    content: bytes
    reason: str


def read(header: int, body: bytes, *, five: bool, reason: str) -> paho.MQTTMessage | Unreadable:
    """A message from a PUBLISH packet that paho refuses for a reason.

    `header` is the packet's first byte, `body` what follows its length, `five` whether it is MQTT 5.
    """
    try:
        return _message(header, body, five=five)
    except (struct.error, IndexError, ValueError):
        return _unreadable(header, body, reason)


def message_of(raw: paho.MQTTMessage | Unreadable, *, connection: int, waited_s: float) -> Message | Unreadable:
    """What arrived, without paho's types; some brokers let a topic pass that is not UTF-8."""
    if isinstance(raw, Unreadable):
        return raw
    try:
        topic = raw.topic
    except UnicodeDecodeError:
        return Unreadable(raw.qos, raw.mid, "", bytes(raw.payload), "a topic that is not UTF-8")
    properties = raw.properties
    return Message(
        topic=topic,
        payload=bytes(raw.payload),
        qos=raw.qos,
        retain=raw.retain,
        dup=raw.dup,
        mid=raw.mid,
        connection=connection,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
        expires_in_s=getattr(properties, "MessageExpiryInterval", None),
        waited_s=waited_s,
    )


def _message(header: int, body: bytes, *, five: bool) -> paho.MQTTMessage:
    """The message, and of its properties those that the bridge uses, as far as they can be read.

    Raises struct.error, IndexError or ValueError where topic, packet identifier and payload cannot be told apart.
    """
    name, rest = _counted(body, 0)
    qos = header >> 1 & 3
    mid = 0
    if not name or qos > 1:  # the bridge subscribes at QoS 1, so no broker sends it QoS 2; 3 does not exist
        raise ValueError("no topic, or a wrong QoS")
    if qos:
        (mid,) = struct.unpack_from("!H", body, rest)
        rest += 2
    message = paho.MQTTMessage(mid, name)
    message.qos, message.dup, message.retain = qos, bool(header & 8), bool(header & 1)
    if five:
        length, start = _number(body, rest)
        rest = start + length
        if rest > len(body):
            raise ValueError("properties longer than the packet")
        message.properties = _properties(body[start:rest])
    message.payload = body[rest:]
    return message


def _properties(region: bytes) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves this untyped
    for identifier, value in _each(region):
        if identifier == _EXPIRY:
            properties.MessageExpiryInterval = int.from_bytes(value)
        elif identifier == _CORRELATION:
            properties.CorrelationData = value
        elif identifier == _RESPONSE_TOPIC:
            # No topic holds half of a surrogate pair: one that is not UTF-8 is refused like any other that is wrong.
            properties.ResponseTopic = value.decode("utf-8", "surrogateescape")
    return properties


def _each(region: bytes) -> Iterator[tuple[int, bytes]]:
    """Every property up to the first that cannot be told from the next: identifier and bytes of its value."""
    place = 0
    while place < len(region):
        try:
            identifier, place = _number(region, place)
            if identifier in _FIXED:
                value, place = _cut(region, place, _FIXED[identifier])
            elif identifier in _ONE_STRING:
                value, place = _counted(region, place)
            elif identifier == _USER_PROPERTY:
                _, place = _counted(region, place)
                value, place = _counted(region, place)
            elif identifier == _SUBSCRIPTION_ID:
                _, place = _number(region, place)
                value = b""
            else:
                return
        except (struct.error, IndexError, ValueError):
            return
        yield identifier, value


def _unreadable(header: int, body: bytes, reason: str) -> Unreadable:
    qos = header >> 1 & 3
    try:
        name, place = _counted(body, 0)
        (mid,) = struct.unpack_from("!H", body, place) if qos else (0,)
    except (struct.error, ValueError):
        return Unreadable(qos, 0, "", body, reason)
    content = body[:place] + body[place + 2 :] if qos else body
    return Unreadable(qos, mid, name.decode("utf-8", "replace"), content, reason)


def _counted(data: bytes, place: int) -> tuple[bytes, int]:
    """A string or binary data, and the place behind it; its length is its first two bytes."""
    (length,) = struct.unpack_from("!H", data, place)
    return _cut(data, place + 2, length)


def _cut(data: bytes, place: int, length: int) -> tuple[bytes, int]:
    if place + length > len(data):
        raise ValueError("longer than the packet")
    return data[place : place + length], place + length


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A variable byte integer, and the place behind it (MQTT 5, 1.5.5)."""
    value = 0
    for shift in range(_LONGEST_NUMBER):
        digit = data[place + shift]
        value |= (digit & 0x7F) << 7 * shift
        if not digit & 0x80:
            return value, place + shift + 1
    raise ValueError("a number of more than four bytes")
