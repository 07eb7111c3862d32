"""A PUBLISH packet of MQTT, read as far as the program needs it (MQTT 5 section 3.3).

For packets that paho refuses: it takes U+FEFF in a property for a fault, which MQTT 5 allows (section 1.5.4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, TypedDict

# Property identifiers of PUBLISH (MQTT 5, 2.2.2.2 and 3.3.2.3). Lengths in bytes; the others begin with their length.
_FIXED = {1: 1, 2: 4, 35: 2}  # payload format indicator, message expiry interval, topic alias
_EXPIRY, _RESPONSE_TOPIC, _CORRELATION, _SUBSCRIPTION_ID, _USER_PROPERTY = 2, 8, 9, 11, 38
_ONE_STRING = {3, _RESPONSE_TOPIC, _CORRELATION}  # content type is 3
_FIVE = 5  # the protocol version in CONNECT (MQTT 5, 3.1.2.2)
_LONGEST_NUMBER = 4  # bytes of a variable byte integer (MQTT 5, 1.5.5)


class Published(NamedTuple):
    """A PUBLISH that can be read; of its properties those that the program uses, None or empty where it has none."""

    topic: bytes
    payload: bytes
    qos: int
    mid: int
    retain: bool
    dup: bool
    expires_in_s: int | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class Unreadable(NamedTuple):
    """A PUBLISH that cannot be read: `content` is all of it but its packet identifier, which is 0 if not found."""

    qos: int
    mid: int
    topic: str
    content: bytes
    reason: str


class InPacket(TypedDict):
    """A packet as paho has read it: its first byte, and what follows its length. Paho's own has more keys."""

    command: int
    packet: bytearray


def read_refused(packet: InPacket, protocol: int, refusal: Exception) -> Published | Unreadable:
    """Read the PUBLISH packet that paho holds and refuses; `protocol` is the version of MQTT as CONNECT names it."""
    return read_packet(packet["command"], bytes(packet["packet"]), five=protocol == _FIVE, reason=str(refusal))


def read_packet(header: int, body: bytes, *, five: bool, reason: str) -> Published | Unreadable:
    """Read a PUBLISH packet that paho refuses for a reason.

    `header` is the packet's first byte, `body` what follows its length, `five` whether it is MQTT 5.
    """
    try:
        return _message(header, body, five=five)
    except (struct.error, IndexError, ValueError):
        return _unreadable(header, body, reason)


def _message(header: int, body: bytes, *, five: bool) -> Published:
    """The message, and of its properties those that can be read.

    Raises struct.error, IndexError or ValueError where topic, packet identifier and payload cannot be separated.
    """
    topic, rest = _counted(body, 0)
    qos = header >> 1 & 3
    mid = 0
    if not topic or qos > 1:  # the program subscribes at QoS 1, so no broker sends it QoS 2; 3 does not exist
        raise ValueError("no topic, or a wrong QoS")
    if qos:
        (mid,) = struct.unpack_from("!H", body, rest)
        rest += 2
    region = b""
    if five:
        length, start = _number(body, rest)
        rest = start + length
        if rest > len(body):
            raise ValueError("properties longer than the packet")
        region = body[start:rest]
    message = Published(topic, body[rest:], qos, mid, retain=bool(header & 1), dup=bool(header & 8))
    return _with_properties(message, region)


def _with_properties(message: Published, region: bytes) -> Published:
    for identifier, value in _each(region):
        if identifier == _EXPIRY:
            message = message._replace(expires_in_s=int.from_bytes(value))
        elif identifier == _CORRELATION:
            message = message._replace(correlation_data=value)
        elif identifier == _RESPONSE_TOPIC:
            message = message._replace(response_topic=_text(value))
        elif identifier == _USER_PROPERTY:
            name, place = _counted(value, 0)
            pair = (_text(name), _text(value[place + 2 :]))
            message = message._replace(user_properties=(*message.user_properties, pair))
    return message


def _text(value: bytes) -> str:
    """Decode a topic.

    Bytes that are not UTF-8 become half surrogates, which the checks refuse later like other wrong text.
    """
    return value.decode("utf-8", "surrogateescape")


def _each(region: bytes) -> Iterator[tuple[int, bytes]]:
    """Each property (identifier, bytes of its value) up to the first whose end cannot be found."""
    place = 0
    while place < len(region):
        try:
            identifier, place = _number(region, place)
            if identifier in _FIXED:
                value, place = _cut(region, place, _FIXED[identifier])
            elif identifier in _ONE_STRING:
                value, place = _counted(region, place)
            elif identifier == _USER_PROPERTY:
                begin = place
                _, place = _counted(region, place)
                _, place = _counted(region, place)
                value = region[begin:place]
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
