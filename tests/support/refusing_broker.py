"""A broker that refuses a client at one chosen packet, in one of the ways that brokers have; MQTT 3.1.1."""

from __future__ import annotations

import enum
import socket
import threading
from contextlib import suppress
from typing import Self

from tests.support.mqtt_packets import (
    CONNACK,
    CONNECT,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    packet,
    read_filters,
    receive,
)

_NOT_AUTHORIZED, _SUBSCRIPTION_FAILED = 5, 0x80  # MQTT 3.1.1, sections 3.2.2.3 and 3.9.3


class Refusal(enum.Enum):
    """At which packet it refuses, and how."""

    CONNECT_CLOSED = "closes the connection at CONNECT"
    CONNECT_SILENT = "does not answer CONNECT"
    CONNECT_REFUSED = "refuses CONNECT"
    SUBSCRIBE_CLOSED = "closes the connection at SUBSCRIBE"
    SUBSCRIBE_SILENT = "does not answer SUBSCRIBE"
    SUBSCRIBE_REFUSED = "refuses SUBSCRIBE"
    PUBLISH_CLOSED = "closes the connection at PUBLISH"


class RefusingBroker:
    """Listens on a free port of the loopback interface, for any number of clients; a context manager."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="refusing broker", daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was shut down
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, EOFError, ValueError, IndexError):
            while True:
                head, body = receive(client)
                if (answer := self._answer(head, body)) is None:
                    return
                client.sendall(answer)

    def _answer(self, head: int, body: bytes) -> bytes | None:
        """What it sends; None to close the connection."""
        kind, refusal = head >> 4, self._refusal
        if kind == CONNECT:
            ways = {Refusal.CONNECT_CLOSED: None, Refusal.CONNECT_SILENT: b""}
            code = _NOT_AUTHORIZED if refusal is Refusal.CONNECT_REFUSED else 0
            return ways.get(refusal, packet(CONNACK << 4, bytes((0, code))))
        if kind == SUBSCRIBE:
            code = _SUBSCRIPTION_FAILED if refusal is Refusal.SUBSCRIBE_REFUSED else 1
            granted = packet(SUBACK << 4, body[:2] + bytes((code,)) * len(read_filters(body[2:])))
            return {Refusal.SUBSCRIBE_CLOSED: None, Refusal.SUBSCRIBE_SILENT: b""}.get(refusal, granted)
        if kind == PUBLISH:
            size = int.from_bytes(body[:2])
            confirmed = packet(PUBACK << 4, body[2 + size : 4 + size])
            return None if refusal is Refusal.PUBLISH_CLOSED else confirmed
        return b""
