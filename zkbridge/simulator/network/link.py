"""One client's way to a terminal: a TCP connection, or the datagrams of one address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkbridge.simulator.network.exchange import Piece
    from zkbridge.simulator.network.session import Session


class Link(ABC):
    """What the machine needs of a connection. All methods belong to the simulator's loop."""

    udp: bool

    def __init__(self, number: int) -> None:
        self.number = number
        self.session: Session | None = None
        self.admitted = True
        self.dead = False
        self.heard = time.monotonic()
        self.acknowledged = asyncio.Event()
        self._spoke = float("-inf")
        self._sending = asyncio.Lock()

    async def send(self, pieces: list[Piece]) -> None:
        """Let pieces leave one by one; those of two answers or events never mix."""
        async with self._sending:
            for piece in pieces:
                quiet = time.monotonic() - self._spoke
                if quiet < piece.pause:
                    await asyncio.sleep(piece.pause - quiet)
                if self.dead or self.closing:
                    return
                await self._write(piece.data)
                self._spoke = time.monotonic()

    @property
    @abstractmethod
    def closing(self) -> bool:
        """Whether our side has ended it."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether either side has ended it, as far as the system knows."""

    @abstractmethod
    async def _write(self, data: bytes) -> None:
        """Let bytes leave together."""

    @abstractmethod
    def close(self) -> None:
        """End it with FIN."""

    @abstractmethod
    def reset(self) -> None:
        """End it with a reset (RST)."""


class TcpLink(Link):
    """A TCP connection."""

    udp = False

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(number)
        self.reader = reader
        self._writer = writer
        self._socket: socket.socket | None = writer.get_extra_info("socket")

    @property
    def closing(self) -> bool:
        """Whether our side has ended it."""
        return self._writer.is_closing()

    @property
    def closed(self) -> bool:
        """Also true when the client's FIN has arrived and was not read yet."""
        return self._writer.is_closing() or self.reader.at_eof() or self._fin_waits()

    def close(self) -> None:
        """FIN after what was written."""
        self._writer.close()

    def reset(self) -> None:
        """RST at once."""
        if self._socket is not None and not self._writer.is_closing():
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def _fin_waits(self) -> bool:
        """A FIN is in the system's buffer: clients probe with a connection that they close at once."""
        if self._socket is None or self._socket.fileno() < 0:
            return True
        with self._socket.dup() as peeked:
            try:
                return peeked.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True


class UdpLink(Link):
    """The datagrams to and from one address."""

    udp = True

    def __init__(self, number: int, send: Callable[[bytes], None]) -> None:
        super().__init__(number)
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._send = send
        self._closed = False

    @property
    def closing(self) -> bool:
        """Whether the address is forgotten."""
        return self._closed

    @property
    def closed(self) -> bool:
        """The same: no datagram says that its sender is gone."""
        return self._closed

    def close(self) -> None:
        """Forget the address."""
        if not self._closed:
            self._closed = True
            self.inbox.put_nowait(None)

    def reset(self) -> None:
        """The same: datagrams know no RST."""
        self.close()

    async def _write(self, data: bytes) -> None:
        self._send(data)
