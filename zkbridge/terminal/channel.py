"""Whole frames over TCP and UDP, each within a deadline.

Raised besides Garbled: TimeoutError, EOFError when the terminal closed, and whatever OSError the system has.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from zkbridge.terminal import wire
from zkbridge.terminal.deadline import Deadline
from zkbridge.terminal.wire import Frame

#: Bytes asked of the system where no more is wanted: a thousand waiting threads must not hold a large buffer each.
_READ = 2048
#: The longest datagram there is; a shorter buffer would cut one in silence.
_DATAGRAM = 65535
#: A dead connection that nobody talks on is noticed in about 30 seconds: idle, between probes, how many.
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
#: On, and no seconds: what is unsent is dropped, and the peer hears a reset.
_NO_LINGER = struct.pack("ii", 1, 0)

_Address = tuple[socket.AddressFamily, Any]


class Channel(Protocol):
    """One connection to a terminal."""

    def send(self, *frames: Frame, until: Deadline) -> None:
        """Hand frames to the system, all of them; in a stream they go together."""

    def receive(self, until: Deadline) -> Frame:
        """The next frame, whole."""

    def fileno(self) -> int:
        """The socket's number, to wait on."""

    def holds_frame(self) -> bool:
        """Whether bytes wait here that the system does not know of any more."""

    def close(self, *, reset: bool = False) -> None:
        """Give the socket back; a reset makes a terminal with one place free it at once. May be called twice."""


def connect(host: str, port: int, *, udp: bool, until: Deadline) -> Channel:
    """A connection made once, to the first of the host's addresses that takes it."""
    return (UdpChannel if udp else TcpChannel)(_dial(host, port, udp=udp, until=until))


class TcpChannel:
    """A stream: frames may arrive in any pieces, or several at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pending = bytearray()

    def send(self, *frames: Frame, until: Deadline) -> None:
        """Send the frames, each with its top."""
        self._sock.settimeout(_time_left(until))
        self._sock.sendall(b"".join(wire.with_top(wire.pack(frame)) for frame in frames))

    def receive(self, until: Deadline) -> Frame:
        """The next frame; a peer that trickles runs out of time."""
        self._fill(wire.TOP_BYTES, until)
        end = wire.TOP_BYTES + wire.packet_length(bytes(self._pending[: wire.TOP_BYTES]))
        self._fill(end, until)
        packet = bytes(memoryview(self._pending)[wire.TOP_BYTES : end])
        del self._pending[:end]
        return wire.unpack(packet)

    def fileno(self) -> int:
        """The socket's number."""
        return self._sock.fileno()

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
            self._sock.settimeout(_time_left(until))
            received = self._sock.recv(max(_READ, size - len(self._pending)))
            if not received:
                raise EOFError
            self._pending += received


class UdpChannel:
    """Datagrams, one frame each. The socket is connected: the kernel drops what others send."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, *frames: Frame, until: Deadline) -> None:
        """Send a datagram each."""
        for frame in frames:
            self._sock.settimeout(_time_left(until))
            self._sock.send(wire.pack(frame))

    def receive(self, until: Deadline) -> Frame:
        """The next datagram's frame."""
        self._sock.settimeout(_time_left(until))
        return wire.unpack(self._sock.recv(_DATAGRAM))

    def fileno(self) -> int:
        """The socket's number."""
        return self._sock.fileno()

    def holds_frame(self) -> bool:
        """Never: a datagram stays with the system until it is read."""
        return False

    def close(self, *, reset: bool = False) -> None:
        """Close; there is nothing to reset."""
        del reset
        self._sock.close()


def _time_left(until: Deadline) -> float:
    """For settimeout, where 0 would mean not to wait at all."""
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
