"""A proxy in front of a real broker that enforces the limits of another one, and closes where that one closes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.mqtt_packets import (
    CONNACK,
    CONNECT,
    PINGREQ,
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
    packet,
    read_filters,
    read_size,
    receive,
    size_bytes,
)

_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _MAXIMUM_QOS, _RETAIN_AVAILABLE = 0x11, 0x21, 0x24, 0x25
_PACKET_SIZE, _WILDCARDS, _KEEPALIVE, _SHARED = 0x27, 0x28, 0x13, 0x2A
_U8, _U16, _U32 = "!BB", "!BH", "!BI"


@dataclass(frozen=True)
class Limits:
    """What a broker takes; None: no limit. Sizes are in bytes, `announced` are the properties of its CONNACK (MQTT 5).

    A client that is silent for one and a half `keepalive_s` is cut off.
    """

    name: str
    filters_per_subscribe: int | None = None
    subscriptions: int | None = None
    payload: int | None = None
    packet: int | None = None
    retained_payload: int | None = None
    topic: int | None = None
    slashes: int | None = None
    client_id: int | None = None
    max_qos: int = 2
    retain: bool = True
    shared: bool = True
    wildcards: bool = True
    keepalive_s: float | None = None
    announced: bytes = b""


def announced(
    *,
    session_expiry_s: int | None = None,
    receive_maximum: int | None = None,
    max_qos: int | None = None,
    retain: bool | None = None,
    packet: int | None = None,
    wildcards: bool | None = None,
    keepalive_s: int | None = None,
    shared: bool | None = None,
) -> bytes:
    """CONNACK properties (MQTT 5 section 3.2.2.3)."""
    given = [
        (_U32, _SESSION_EXPIRY, session_expiry_s),
        (_U16, _RECEIVE_MAXIMUM, receive_maximum),
        (_U8, _MAXIMUM_QOS, max_qos),
        (_U8, _RETAIN_AVAILABLE, retain),
        (_U32, _PACKET_SIZE, packet),
        (_U8, _WILDCARDS, wildcards),
        (_U16, _KEEPALIVE, keepalive_s),
        (_U8, _SHARED, shared),
    ]
    return b"".join(struct.pack(form, kind, value) for form, kind, value in given if value is not None)


#: https://docs.aws.amazon.com/general/latest/gr/iot-core.html, "AWS IoT Core message broker and protocol limits".
AWS_IOT_CORE = Limits(
    "AWS IoT Core",
    filters_per_subscribe=8,
    subscriptions=50,
    payload=128 * 1024,
    packet=149_504,
    topic=256,
    slashes=7,
    client_id=128,
    max_qos=1,
    announced=announced(session_expiry_s=3600, receive_maximum=100, max_qos=1, packet=149_504, keepalive_s=1200),
)
#: https://learn.microsoft.com/azure/event-grid/quotas-limits ("MQTT limits in the Event Grid namespace": 10 filters, 50
#: subscriptions a session, topics of 256 bytes and 8 segments, messages of 512 KB, keep-alive 1160), .../mqtt-support,
#: and .../mqtt-retain (64 KB); read in azure-docs, articles/event-grid/includes/limits.md.
EVENT_GRID = Limits(
    "Azure Event Grid",
    filters_per_subscribe=10,
    subscriptions=50,
    payload=512 * 1024,
    packet=512 * 1024,
    retained_payload=64 * 1024,
    topic=256,
    slashes=7,
    max_qos=1,
    shared=False,
    announced=announced(session_expiry_s=8 * 3600, max_qos=1, packet=512 * 1024, keepalive_s=1160, shared=False),
)


@dataclass
class Link:
    """One client's connection through the proxy."""

    client: socket.socket
    broker: socket.socket
    five: bool = False
    filters: set[str] = field(default_factory=set)

    def cut(self) -> None:
        for end in (self.client, self.broker):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class StrictBroker:
    """Listens on a free port of the loopback interface, in front of the broker on *port*; a context manager.

    Where no broker listens on `behind`, connections are `accepted` and closed at once, as HAProxy does.
    A packet beyond the limits closes the connection without a word, and `violations` says why.
    `subscribes` holds the filters of each SUBSCRIBE, `pings` counts PINGREQs.
    *refuse* may answer a PUBLISH (topic, retain) with a PUBACK code instead of passing it on; over MQTT 3.1.1, where
    a PUBACK has no code, the message just disappears. *closes_at* (topic, size of the payload) may have the
    connection closed at a PUBLISH.
    """

    def __init__(
        self,
        port: int,
        limits: Limits | None = None,
        *,
        refuse: Callable[[str, bool], int | None] = lambda _topic, _retain: None,
        closes_at: Callable[[str, int], bool] = lambda _topic, _size: False,
    ) -> None:
        self.limits = limits or Limits("a broker without limits")
        self.violations: list[str] = []
        self.subscribes: list[list[str]] = []
        self.connects = self.pings = 0
        self._refuse = refuse
        self._closes_at = closes_at
        self.behind = port
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._links: list[Link] = []
        self._threads = [threading.Thread(target=self._accept, name="strict broker", daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        """End every connection without a word."""
        for link in list(self._links):
            link.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                try:
                    broker = socket.create_connection(("127.0.0.1", self.behind))
                except OSError:
                    client.close()
                    continue
                for end in (client, broker):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link = Link(client, broker)
                self._links.append(link)
                for job in (self._upwards, self._downwards):
                    thread = threading.Thread(target=self._pump, args=(job, link), name="strict broker", daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pump(self, job: Callable[[Link], None], link: Link) -> None:
        with suppress(OSError, EOFError):
            job(link)
        link.cut()
        source = link.client if job == self._upwards else link.broker
        source.close()

    def _upwards(self, link: Link) -> None:
        if self.limits.keepalive_s is not None:
            silence_s = struct.pack("@ll", *divmod(round(self.limits.keepalive_s * 1.5 * 1e6), 1_000_000))
            link.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, silence_s)
        while True:
            try:
                head, body = receive(link.client)
            except BlockingIOError:
                self.violations.append("silence for one and a half keep alives")
                return
            self.pings += head >> 4 == PINGREQ
            answer = self._judge(link, head, body)
            if isinstance(answer, str):
                self.violations.append(answer)
                return
            if answer is not None:
                link.client.sendall(answer)
            else:
                link.broker.sendall(packet(head, body))

    def _downwards(self, link: Link) -> None:
        while True:
            head, body = receive(link.broker)
            if head >> 4 == CONNACK and link.five and self.limits.announced and body[1] == 0:
                body = body[:2] + size_bytes(len(self.limits.announced)) + self.limits.announced
            link.client.sendall(packet(head, body))

    def _judge(self, link: Link, head: int, body: bytes) -> bytes | str | None:
        """None: pass it on; bytes: answer instead; a sentence: close."""
        limits = self.limits
        if limits.packet is not None and len(packet(head, body)) > limits.packet:
            return f"a packet of {len(packet(head, body))} bytes"
        kind = head >> 4
        if kind == CONNECT:
            return self._judge_connect(link, body)
        if kind in {SUBSCRIBE, UNSUBSCRIBE}:
            return self._judge_filters(link, kind, body)
        return self._judge_publish(link, head, body) if kind == PUBLISH else None

    def _judge_connect(self, link: Link, body: bytes) -> str | None:
        self.connects += 1
        link.five = body[6] == 5
        rest = body[10:]
        if link.five:
            rest = rest[_properties_size(rest) :]
        client_id = _text(rest)
        if self.limits.client_id is not None and len(client_id.encode()) > self.limits.client_id:
            return f"a client id of {len(client_id)} characters"
        return None

    def _judge_filters(self, link: Link, kind: int, body: bytes) -> str | None:
        limits = self.limits
        rest = body[2:]
        if link.five:
            rest = rest[_properties_size(rest) :]
        filters = read_filters(rest, options=1 if kind == SUBSCRIBE else 0)
        if limits.filters_per_subscribe is not None and len(filters) > limits.filters_per_subscribe:
            return f"{len(filters)} filters in one packet"
        if kind == UNSUBSCRIBE:
            link.filters -= set(filters)
            return None
        self.subscribes.append(filters)
        link.filters |= set(filters)
        if limits.subscriptions is not None and len(link.filters) > limits.subscriptions:
            return f"{len(link.filters)} subscriptions"
        if not limits.shared and any(each.startswith("$share") for each in filters):
            return "a shared subscription"
        if not limits.wildcards and any(set(each) & set("+#") for each in filters):
            return "a wildcard subscription"
        return next((why for each in filters if (why := self._judge_topic(each))), None)

    def _judge_topic(self, topic: str) -> str | None:
        limits = self.limits
        if limits.topic is not None and len(topic.encode()) > limits.topic:
            return f"a topic of {len(topic.encode())} bytes"
        if limits.slashes is not None and topic.count("/") > limits.slashes:
            return f"a topic of {topic.count('/')} slashes: {topic}"
        return None

    def _judge_publish(self, link: Link, head: int, body: bytes) -> bytes | str | None:
        limits = self.limits
        topic, qos, retain = _text(body), head >> 1 & 3, bool(head & 1)
        rest = body[2 + len(topic.encode()) :]
        mid, rest = (rest[:2], rest[2:]) if qos else (b"", rest)
        payload = rest[_properties_size(rest) :] if link.five else rest
        faults = {
            f"QoS {qos} on {topic}": qos > limits.max_qos,
            f"a retained message on {topic}": retain and not limits.retain,
            f"a payload of {len(payload)} bytes on {topic}": _is_over(limits.payload, payload),
            f"a retained payload of {len(payload)} bytes": retain and _is_over(limits.retained_payload, payload),
            f"it closes at {topic}": self._closes_at(topic, len(payload)),
        }
        why = next((fault for fault, is_so in faults.items() if is_so), self._judge_topic(topic))
        if why is not None:
            return why
        code = self._refuse(topic, retain)
        if code is None:
            return None
        return packet(PUBACK << 4, mid + bytes((code, 0)) if link.five else mid)


def _properties_size(data: bytes) -> int:
    """The bytes of a block of properties, its length included."""
    size, used = read_size(data)
    return used + size


def _is_over(limit: int | None, data: bytes) -> bool:
    return limit is not None and len(data) > limit


def _text(data: bytes) -> str:
    return data[2 : 2 + int.from_bytes(data[:2])].decode()
