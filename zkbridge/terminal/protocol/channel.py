"""Whole frames over TCP and UDP, each within a deadline.

Raised besides Garbled: TimeoutError, EOFError when the terminal closed, and whatever OSError the system has.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.wire import Frame

#: Bytes asked of the system where no more is wanted: a thousand waiting threads must not hold a large buffer each.
_READ = 2048
#: The most bytes that are asked of the system at once: it makes room for as many, whatever has arrived.
_MOST_READ = 64 * 1024
#: The longest datagram there is; a shorter buffer would cut one in silence.
_DATAGRAM = 65535
#: A dead connection on which nothing is sent is noticed in about 30 seconds: idle, between probes, how many.
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
#: SO_LINGER on, with 0 seconds: unsent data is dropped, and the peer gets a reset.
_NO_LINGER = struct.pack("ii", 1, 0)

_Address = tuple[socket.AddressFamily, Any]


class Channel(Protocol):
    """One connection to a terminal."""

    def send(self, *frames: Frame, until: Deadline) -> None:
        """Hand frames to the system, all of them; in a stream they go together."""

    def receive(self, until: Deadline, most: int = wire.MAX_PACKET) -> Frame:
        """The next frame, whole. Raises TooMuch when it is longer than `most` bytes."""

    def fileno(self) -> int:
        """The socket's number, to wait on."""

    def holds_frame(self) -> bool:
        """Whether bytes wait here that the system does not know of any more."""

    def close(self, *, reset: bool = False) -> None:
        """Give the socket back; a reset makes a terminal with one place free it at once. May be called twice."""


def connect(host: str, port: int, *, udp: bool, until: Deadline) -> Channel:
    """A connection made once, to the first of the host's addresses that takes it."""
    return (UdpChannel if udp else TcpChannel)(_dial(host, port, udp=udp, until=until))


class _Waiting:
    """A socket that never blocks, and a way to wait for it: half the system calls of one with a timeout."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def fileno(self) -> int:
        """The socket's number."""
        return self._sock.fileno()

    def _receive(self, most: int, until: Deadline) -> bytes:
        """What comes next, up to so many bytes, as soon as there is anything."""
        while True:
            if not self._poll.poll(_time_left(until) * 1000):
                raise TimeoutError
            try:
                return self._sock.recv(most)
            except BlockingIOError:  # a datagram whose checksum was wrong wakes the waiting thread, and is gone
                continue

    def _send(self, data: bytes, until: Deadline) -> None:
        """All of it. The system mostly has room for a request; if not, it is waited for."""
        left = _time_left(until)
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return
        self._sock.settimeout(left)
        try:
            self._sock.sendall(memoryview(data)[sent:])
        finally:
            self._sock.setblocking(False)


class TcpChannel(_Waiting):
    """A stream: frames may arrive in any pieces, or several at once."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._pending = bytearray()

    def send(self, *frames: Frame, until: Deadline) -> None:
        """Send the frames, each with its top."""
        self._send(b"".join([wire.with_top(wire.pack(frame)) for frame in frames]), until)

    def receive(self, until: Deadline, most: int = wire.MAX_PACKET) -> Frame:
        """The next frame; the deadline holds for all of it, however slowly it arrives."""
        self._fill(wire.TOP_BYTES, until)
        end = wire.TOP_BYTES + wire.packet_length(self._pending[: wire.TOP_BYTES], most)
        self._fill(end, until)
        packet = bytes(memoryview(self._pending)[wire.TOP_BYTES : end])
        del self._pending[:end]
        return wire.unpack(packet)

    def holds_frame(self) -> bool:
        """Whether bytes were read ahead."""
        return bool(self._pending)

    def close(self, *, reset: bool = False) -> None:
        """Close, with a reset instead of a farewell if so wanted."""
        if reset:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._sock.close()

    def _fill(self, size: int, until: Deadline) -> None:
        while len(self._pending) < size:
            received = self._receive(min(max(_READ, size - len(self._pending)), _MOST_READ), until)
            if not received:
                raise EOFError
            self._pending += received


class UdpChannel(_Waiting):
    """Datagrams, one frame each. The socket is connected: the kernel drops what others send."""

    def send(self, *frames: Frame, until: Deadline) -> None:
        """Send a datagram each."""
        for frame in frames:
            self._send(wire.pack(frame), until)

    def receive(self, until: Deadline, most: int = wire.MAX_PACKET) -> Frame:
        """The next datagram's frame."""
        del most  # no datagram is longer than a piece
        return wire.unpack(self._receive(_DATAGRAM, until))

    def holds_frame(self) -> bool:
        """Never: a datagram stays with the system until it is read."""
        return False

    def close(self, *, reset: bool = False) -> None:
        """Close; there is nothing to reset."""
        del reset
        self._sock.close()


def _time_left(until: Deadline) -> float:
    """The seconds until then. Raises TimeoutError where there are none."""
    left = until.remaining()
    if left <= 0:
        raise TimeoutError
    return left


def _dial(host: str, port: int, *, udp: bool, until: Deadline) -> socket.socket:
    failure: OSError | None = None
    for family, address in _addresses(host, port, udp=udp, until=until):
        sock = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        try:
            sock.settimeout(_time_left(until))
            sock.connect(address)
            if not udp:
                _tune(sock)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or socket.gaierror(socket.EAI_NONAME, "no address")


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # not every system has a setting for each
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _addresses(host: str, port: int, *, udp: bool, until: Deadline) -> list[_Address]:
    """Where the host is. A name is looked up in a thread of its own: a dead name server knows no deadline."""

    def look_up() -> list[_Address]:
        kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
        found = socket.getaddrinfo(host, port, type=kind)
        return list(dict.fromkeys((family, address) for family, _, _, _, address in found))

    return look_up() if _is_numeric(host) else _in_time(look_up, until)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _in_time(work: Callable[[], list[_Address]], until: Deadline) -> list[_Address]:
    found: list[list[_Address]] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - it is raised below, in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=run, name="name lookup", daemon=True)
    thread.start()
    thread.join(until.remaining())
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found[0]
