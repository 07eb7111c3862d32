"""A small MQTT 5 client that sends what a library refuses to send: DUP, any property, a message twice.

Source: MQTT 5.0 (OASIS), sections 3.1 to 3.9.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Self

from tests.support.mqtt_packets import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    packet,
    read_size,
    receive,
    size_bytes,
)
from tests.support.waiting import patience

_PATIENCE_S = 60
#: A broker takes so many unacknowledged messages from a client where its CONNACK says nothing else; Mosquitto says 20.
_WINDOW = 16
_REFUSED = 0x80
#: Characters of a value that are shown of a message.
_SHOWN = 1000
#: Property identifiers of a PUBLISH (MQTT 5, 3.3.2.3).
_FORMAT, _EXPIRY, _CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION, _USER = 0x01, 0x02, 0x03, 0x08, 0x09, 0x26
_STRINGS = {_CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION}


@dataclass(frozen=True, repr=False)
class RawMessage:
    """A message with its properties, None where it has none of a kind.

    Strings are encoded as UTF-8. With `dup` at QoS 1 its DUP flag is set; at QoS 2 it is sent twice, with the flag the
    second time, which the broker must take for one message.
    """

    topic: str
    payload: bytes = b""
    qos: int = 1
    retain: bool = False
    dup: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None
    expiry_s: int | None = None
    payload_format: int | None = None
    content_type: str | None = None
    user: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        plain = {each.name: each.default for each in fields(self)}
        said = ", ".join(f"{name}={_short(repr(value))}" for name, value in given.items() if value != plain[name])
        return f"RawMessage({said})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """As above in hypothesis's reports too."""
        printer.text(repr(self))

    def packet(self, mid: int, *, dup: bool) -> bytes:
        """Its PUBLISH."""
        body = _text(self.topic) + (struct.pack("!H", mid) if self.qos else b"")
        region = b"".join(self._properties())
        return packet(
            PUBLISH << 4 | (8 if dup else 0) | self.qos << 1 | self.retain,
            body + size_bytes(len(region)) + region + self.payload,
        )

    def _properties(self) -> list[bytes]:
        found = [bytes((_USER,)) + _text(name) + _text(value) for name, value in self.user]
        if self.payload_format is not None:
            found.append(bytes((_FORMAT, self.payload_format)))
        if self.expiry_s is not None:
            found.append(struct.pack("!BI", _EXPIRY, self.expiry_s))
        for kind, text in ((_CONTENT_TYPE, self.content_type), (_RESPONSE_TOPIC, self.response_topic)):
            if text is not None:
                found.append(bytes((kind,)) + _text(text))
        if self.correlation is not None:
            found.append(bytes((_CORRELATION,)) + struct.pack("!H", len(self.correlation)) + self.correlation)
        return found


class RawClient:
    """Connected to the broker on *port*; `received` grows while it lives. A context manager."""

    def __init__(self, port: int) -> None:
        self.received: list[RawMessage] = []
        self.ended: str | None = None
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()
        self._news = threading.Condition()
        self._open: set[int] = set()
        self._subscribed = False
        self._mid = 0
        self._closing = False
        self._reader = threading.Thread(target=self._read, name="raw MQTT client", daemon=True)

    def __enter__(self) -> Self:
        self._send(packet(CONNECT << 4, _text("MQTT") + b"\x05\x02\0\0" + b"\0" + _text("")))
        head, body = receive(self._sock)
        assert head >> 4 == CONNACK
        assert body[1] == 0, f"CONNACK {body[1]:#x}"
        self._sock.settimeout(None)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with suppress(OSError):
            self._send(packet(DISCONNECT << 4, b""))
            self._sock.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._sock.close()

    def subscribe(self, topic_filter: str) -> None:
        """At QoS 1, without what this client itself publishes."""
        self._send(packet(SUBSCRIBE << 4 | 2, b"\0\x01\0" + _text(topic_filter) + b"\x05"))
        self.wait(lambda: self._subscribed, "SUBACK")

    def publish(self, message: RawMessage) -> None:
        """Return when it is sent; the broker's answer to it is seen to meanwhile."""
        self.wait(lambda: len(self._open) < _WINDOW, "the broker to acknowledge")
        with self._news:
            self._mid = self._mid % 0xFFFF + 1
            while self._mid in self._open:
                self._mid = self._mid % 0xFFFF + 1
            mid = self._mid
            if message.qos:
                self._open.add(mid)
        twice = message.dup and message.qos == 2
        data = message.packet(mid, dup=message.dup and message.qos == 1)
        self._send(data + (message.packet(mid, dup=True) if twice else b""))

    def flush(self) -> None:
        """Return when the broker has acknowledged everything."""
        self.wait(lambda: not self._open, "the broker to acknowledge everything")

    def wait(self, condition: Any, what: str, timeout: float = _PATIENCE_S) -> None:
        """Raise AssertionError when the connection has ended, or after *timeout* seconds."""
        timeout = patience(timeout)
        until = time.monotonic() + timeout
        with self._news:
            while not condition():
                assert self.ended is None, f"the broker has ended the test's connection: {self.ended}"
                left = until - time.monotonic()
                assert left > 0, f"waited {timeout:g} s in vain for {what}"
                self._news.wait(left)

    def _send(self, data: bytes) -> None:
        with self._sending:
            self._sock.sendall(data)

    def _read(self) -> None:
        try:
            while True:
                head, body = receive(self._sock)
                with self._news:
                    self._take(head, body)
                    self._news.notify_all()
        except (OSError, EOFError) as error:
            with self._news:
                if not self._closing:
                    self.ended = self.ended or repr(error)
                self._news.notify_all()

    def _take(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == PUBLISH:
            message, mid = _parsed(head, body)
            self.received.append(message)
            if message.qos:
                self._send(packet(PUBACK << 4, mid))
        elif kind in (PUBACK, PUBREC, PUBCOMP):
            assert len(body) < 3 or body[2] < _REFUSED, f"the broker refuses a message: {body[2]:#x}"
            if kind == PUBREC:
                self._send(packet(PUBREL << 4 | 2, body[:2]))
            else:
                self._open.discard(int.from_bytes(body[:2]))
        elif kind == SUBACK:
            self._subscribed = True
        elif kind == DISCONNECT:
            self.ended = f"DISCONNECT {body[0]:#x}" if body else "DISCONNECT"


def _parsed(head: int, body: bytes) -> tuple[RawMessage, bytes]:
    size = int.from_bytes(body[:2])
    topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
    qos = head >> 1 & 3
    mid, rest = (rest[:2], rest[2:]) if qos else (b"", rest)
    length, used = read_size(rest)
    region, payload = rest[used : used + length], rest[used + length :]
    return RawMessage(topic, payload, qos, bool(head & 1), bool(head & 8), **_read_properties(region)), mid


def _read_properties(region: bytes) -> dict[str, Any]:
    """Those that a message of the bridge may have."""
    found: dict[str, Any] = {}
    user: list[tuple[str, str]] = []
    while region:
        kind, region = region[0], region[1:]
        if kind == _FORMAT:
            found["payload_format"], region = region[0], region[1:]
        elif kind == _EXPIRY:
            found["expiry_s"], region = int.from_bytes(region[:4]), region[4:]
        elif kind in _STRINGS:
            value, region = _cut(region)
            name = {_CONTENT_TYPE: "content_type", _RESPONSE_TOPIC: "response_topic", _CORRELATION: "correlation"}[kind]
            found[name] = value if kind == _CORRELATION else value.decode()
        elif kind == _USER:
            name_of, region = _cut(region)
            value, region = _cut(region)
            user.append((name_of.decode(), value.decode()))
        else:
            raise AssertionError(f"property {kind:#x} in a message of the bridge")
    return {**found, "user": tuple(user)}


def _cut(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:2])
    return data[2 : 2 + size], data[2 + size :]


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("!H", len(data)) + data
