"""A broker of one page: MQTT 3.1.1, one client at a time, and every packet exactly as a test wants it."""

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.mqtt_packets import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    packet,
    read_filters,
    receive,
)
from tests.support.waiting import wait_until

#: Seconds after which a SUBACK that a test withholds is sent all the same: a failed test must end.
GRANTED_S = 30.0


@dataclass(frozen=True)
class Published:
    """What the client published."""

    topic: str
    payload: bytes
    mid: int
    duplicate: bool


class FakeBroker:
    """Listens on a free port of the loopback interface; a context manager.

    `connack` is the code that answers CONNECT, None closes the connection instead; `session` says there that the
    client's session was kept. `confirms` false withholds every PUBACK, `unconfirmed` holds topics for which it is
    withheld. `slow_s` passes before it looks at each packet.
    `acknowledged` holds the packet ids that the client acknowledged, one list for each connection.
    """

    def __init__(self, *, connack: int | None = 0, slow_s: float = 0.0) -> None:
        self.connack = connack
        self.confirms = True
        self.unconfirmed: set[str] = set()
        self.session = False
        #: Clear it to withhold every SUBACK; `asked` counts the SUBSCRIBE packets.
        self.granting = threading.Event()
        self.granting.set()
        self.asked = 0
        self._slow_s = slow_s
        self.published: list[Published] = []
        self.acknowledged: list[list[int]] = []
        #: The filters of each connection, once the client publishes after them.
        self.subscribed: list[list[str]] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="fake broker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def deliver(self, topic: str, payload: bytes, *, mid: int, duplicate: bool = False, retain: bool = False) -> None:
        """Send one PUBLISH at QoS 1."""
        name = topic.encode()
        body = struct.pack("!H", len(name)) + name + struct.pack("!H", mid) + payload
        self._send(PUBLISH, 2 | duplicate << 3 | retain, body)

    def confuse(self) -> None:
        """Send a packet that no client can read: a PUBACK of nothing."""
        self._send(PUBACK, 0, b"")

    def wait_for_client(self, connection: int = 1) -> None:
        """Return when so many connections have been made and the last one has subscribed."""
        wait_until(lambda: len(self.subscribed) >= connection, timeout=30, what=f"connection {connection}")

    def replies(self, topic: str, count: int) -> list[bytes]:
        """Everything published on a topic, as soon as there is so much of it."""

        def found() -> list[bytes]:
            return [one.payload for one in self.published if one.topic == topic]

        wait_until(lambda: len(found()) >= count, timeout=30, what=f"{count} messages on {topic}")
        return found()

    def drop(self) -> None:
        """Cut the connection without a word."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                self._client, _ = self._listener.accept()
                self.connections += 1
                with self._client, suppress(OSError, EOFError):
                    self._serve(self._client)

    def _serve(self, client: socket.socket) -> None:
        acknowledged: list[int] = []
        filters: list[str] = []
        subscribed = False
        while True:
            head, body = receive(client)
            kind, flags = head >> 4, head & 0xF
            time.sleep(self._slow_s)
            if kind == CONNECT:
                if self.connack is None:
                    return
                self._send(CONNACK, 0, bytes((self.session, self.connack)))
                if self.connack:
                    return
                self.acknowledged.append(acknowledged)
            elif kind == SUBSCRIBE:
                asked = read_filters(body[2:])
                self.asked += 1
                self.granting.wait(GRANTED_S)
                self._send(SUBACK, 0, body[:2] + b"\1" * len(asked))
                filters += asked
            elif kind == UNSUBSCRIBE:
                self._send(UNSUBACK, 0, body[:2])
            elif kind == PUBLISH:
                if filters and not subscribed:  # several packets bring them; it publishes when all are granted
                    self.subscribed.append(filters)
                    subscribed = True
                self._take(flags, body)
            elif kind == PUBACK:
                acknowledged.append(int.from_bytes(body[:2]))
            elif kind == PINGREQ:
                self._send(PINGRESP, 0, b"")
            elif kind == DISCONNECT:
                return

    def _take(self, flags: int, body: bytes) -> None:
        size = int.from_bytes(body[:2])
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        quality = flags >> 1 & 3
        mid = int.from_bytes(rest[:2]) if quality else 0
        self.published.append(Published(topic, rest[2:] if quality else rest, mid, bool(flags & 8)))
        if quality and self.confirms and topic not in self.unconfirmed:
            self._send(PUBACK, 0, rest[:2])

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        assert self._client is not None, "nobody is connected"
        with self._sending:
            self._client.sendall(packet(kind << 4 | flags, body))
