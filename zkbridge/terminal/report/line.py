"""A connection that keeps what it sent and what came, frame by frame and read by read.

The bridge's own client refuses what the protocol does not allow. A report is to show it, so this one reads leniently.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.report.recording import Exchange, Packet

_READ = 64 * 1024
_TOP = wire.TOP_BYTES
#: A frame that declares more is noise.
_MOST = 4 * 1024 * 1024
#: A packet may take so many times the time limit, as long as something of it comes within each.
_MOST_WAITS = 20
#: After so many requests in a row without an answer a terminal is left alone.
_MOST_SILENT = 5


class Ended(Exception):
    """Nothing more comes; `why` is an `end` of an exchange."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Line:
    """One connection to a terminal. `keep` is given each exchange as it is to stand in the report.

    Raises Ended from the constructor when the terminal cannot be reached. `over` says that nothing more can be asked.
    """

    def __init__(
        self, name: str, address: tuple[str, int], *, udp: bool, timeout: float, keep: Callable[[Exchange], object]
    ) -> None:
        self.name = name
        self.udp = udp
        self.session = 0
        self.over = False
        self._timeout = timeout
        self._keep = keep
        self._next_id = 0
        self._silent = 0
        self._pending = b""
        self._arrived: list[tuple[float, int]] = []
        self._socket = _opened(address, udp=udp, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close; may be called twice."""
        self.over = True
        self._socket.close()

    def ask(
        self,
        step: str,
        command: int,
        data: bytes = b"",
        *,
        session: int | None = None,
        intact: bool = True,
        secret: bool = False,
    ) -> Exchange:
        """Ask and wait for the whole answer.

        `secret` keeps the request's data out of the report. `intact` false sends a wrong checksum.
        """
        packet = self._packet(command, data, session=session, intact=intact)
        self._arrived = []
        begun = time.monotonic()
        end = self._send(packet)
        answers: list[Packet] = []
        if not end:
            answers, end = self._answer(packet.reply_id, begun)
        shown = packet.with_data(bytes(len(data))) if secret else packet
        self._silent = self._silent + 1 if end == "silence" else 0
        self.over = self.over or self._silent >= _MOST_SILENT
        exchange = Exchange(self.name, step, shown, tuple(answers), tuple(self._arrived), end)
        self._keep(exchange)
        return exchange

    def ask_together(self, step: str, command: int, data: bytes, times: int) -> None:
        """Send the same request several times in one segment; each is an exchange of its own."""
        packets = [self._packet(command, data) for _ in range(times)]
        self._arrived = []
        begun = time.monotonic()
        end = self._send(*packets)
        for packet in packets:
            answers: list[Packet] = []
            if not end:
                answers, end = self._answer(packet.reply_id, begun)
            self._keep(Exchange(self.name, step, packet, tuple(answers), tuple(self._arrived), end))

    def _packet(self, command: int, data: bytes, *, session: int | None = None, intact: bool = True) -> Packet:
        reply_id, self._next_id = self._next_id, (self._next_id + 1) % wire.REPLY_IDS
        return Packet(command, self.session if session is None else session, reply_id, data, intact)

    def _send(self, *packets: Packet) -> str:
        """Send; why that failed, or nothing."""
        raw = [each.packed() if self.udp else wire.with_top(each.packed()) for each in packets]
        try:
            for piece in raw if self.udp else [b"".join(raw)]:
                self._socket.sendall(piece)
        except OSError as error:
            self.over = True
            return "refused" if isinstance(error, ConnectionRefusedError) else "reset"
        return ""

    def _answer(self, reply_id: int, begun: float) -> tuple[list[Packet], str]:
        """The packets until the answer to this id is complete, and why it is not, if it is not."""
        packets: list[Packet] = []
        bulk = False
        try:
            while True:
                packet = self._receive(begun)
                packets.append(packet)
                if packet.command == Command.EVENT or packet.reply_id != reply_id:
                    continue
                if packet.command == Command.PREPARE_DATA:
                    bulk = True
                elif not (bulk and packet.command == Command.DATA):
                    return packets, ""
        except Ended as ended:
            self.over = self.over or ended.why != "silence"
            return packets, ended.why

    def _receive(self, begun: float) -> Packet:
        """The next packet. Raises Ended when nothing comes for the time limit, or not all of it in twenty of them."""
        last = time.monotonic() + _MOST_WAITS * self._timeout
        while True:
            packet = self._cut()
            if packet is not None:
                return packet
            self._read(min(self._timeout, last - time.monotonic()), begun)

    def _cut(self) -> Packet | None:
        """A packet out of what has arrived. Raises Ended for bytes that are no frame."""
        if self.udp:
            raw, self._pending = self._pending, b""
            if raw and len(raw) < wire.HEADER_BYTES:
                raise Ended("noise")
            return Packet.read(raw) if raw else None
        if len(self._pending) < _TOP:
            return None
        length = int.from_bytes(self._pending[4:_TOP], "little")
        if not self._pending.startswith(wire.MAGIC) or not wire.HEADER_BYTES <= length <= _MOST:
            raise Ended("noise")
        if len(self._pending) < _TOP + length:
            return None
        raw, self._pending = self._pending[_TOP : _TOP + length], self._pending[_TOP + length :]
        return Packet.read(raw)

    def _read(self, left: float, begun: float) -> None:
        if left <= 0:
            raise Ended("silence")
        try:
            self._socket.settimeout(left)
            received = self._socket.recv(_READ)
        except TimeoutError:
            raise Ended("silence") from None
        except ConnectionRefusedError:  # a datagram to a closed port
            raise Ended("refused") from None
        except OSError:
            raise Ended("reset") from None
        if not received and not self.udp:
            raise Ended("closed")
        self._arrived.append((round((time.monotonic() - begun) * 1000, 1), len(received)))
        self._pending += received


def _opened(address: tuple[str, int], *, udp: bool, timeout: float) -> socket.socket:
    """A connected socket. Raises Ended."""
    try:
        if not udp:
            opened = socket.create_connection(address, timeout)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return opened
        family, kind, _, _, where = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
        opened = socket.socket(family, kind)
        with suppress(OSError):
            opened.connect(where)
    except TimeoutError:
        raise Ended("silence") from None
    except ConnectionRefusedError:
        raise Ended("refused") from None
    except ConnectionError:
        raise Ended("reset") from None
    except OSError as error:
        raise Ended(f"unreachable: {error.strerror}") from error
    return opened
