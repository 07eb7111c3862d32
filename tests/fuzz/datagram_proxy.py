"""A proxy before a terminal that speaks UDP, which changes its answers as `proxy` does over TCP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from tests.fuzz.proxy import TOP, Mutation
from zkbridge.simulator.wire.codes import Command
from zkbridge.simulator.wire.frames import parse_packet

#: The longest datagram of IPv4, and the most that are sent in place of one.
_LONGEST, _MOST = 65_507, 2000


class MutatingDatagramProxy:
    """Passes datagrams on to a terminal on loopback; `mutations` count the answers since the last CONNECT.

    One conversation at a time, as the bridge has them.
    """

    host = "127.0.0.1"

    def __init__(self, terminal_port: int) -> None:
        self.mutations: Sequence[Mutation] = ()
        self.connections = 0
        self._number = -1
        self._ended = False
        self._bridge: tuple[str, int] | None = None
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((self.host, 0))
        self.port: int = self._front.getsockname()[1]
        self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._back.connect((self.host, terminal_port))
        self._threads = [
            threading.Thread(target=work, name="mutating datagrams", daemon=True)
            for work in (self._pass_on, self._mutate)
        ]
        self._stopping = False

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.host, self.port))
        self._back.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._front.close()
        self._back.close()

    def _pass_on(self) -> None:
        while not self._stopping:
            with suppress(OSError):
                data, self._bridge = self._front.recvfrom(_LONGEST)
                if data[:2] == Command.CONNECT.to_bytes(2, "little"):
                    self.connections += 1
                    self._number, self._ended = -1, False
                self._back.send(data)

    def _mutate(self) -> None:
        while not self._stopping:
            with suppress(OSError):
                data = self._back.recv(_LONGEST)
                if not data:
                    continue
                self._number += 1
                self._answer(data)

    def _answer(self, data: bytes) -> None:
        frame = parse_packet(data)
        datagrams = [data]
        for mutation in self.mutations:
            if mutation.frame == self._number and frame is not None:
                parts = mutation.applied(frame)
                self._ended = self._ended or not all(parts)
                datagrams = [part[TOP:] for part in parts if part]
        for datagram in [] if self._ended and len(datagrams) != 1 else datagrams[:_MOST]:
            if self._bridge is not None and datagram:
                self._front.sendto(datagram[:_LONGEST], self._bridge)
