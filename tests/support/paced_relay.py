"""A relay that hands a TCP client one part of an answer after the other, each when the one before has been read.

The clients for Node.js take what one read brings for one part: PREPARE_DATA must come alone, DATA together with the
closing ACK. A pause between the parts cannot promise that: on a busy machine the client may sleep for longer than any
pause. This relay asks the kernel whether the client has read everything.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self

from tests.support.address import Address

PREPARE_DATA, DATA = 1500, 1501
PATIENCE_S = 30.0
LOOK_S = 0.001
#: Linux: bytes that are not sent yet. Those that are not acknowledged yet tell nothing: an ACK may be delayed by 40 ms.
SIOCOUTQNSD = 0x894B
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1


class PacedRelay:
    """Stands before a terminal as long as its `with` lasts; clients connect to `host` and `port`."""

    host = "127.0.0.1"

    def __init__(self, terminal: Address) -> None:
        self._terminal = terminal
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[Thread] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._sockets):
            one.close()

    def _begin(self, work: object, *arguments: object) -> None:
        thread = Thread(target=work, args=arguments, name="paced relay")  # type: ignore[arg-type]  # a function
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            try:
                server = socket.create_connection((self._terminal.host, self._terminal.port))
            except OSError:
                client.close()
                continue
            self._sockets.append(server)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin(pass_on, client, server)
            self._begin(hand_over, server, client)


def pass_on(client: socket.socket, server: socket.socket) -> None:
    """Requests go on as they come."""
    with suppress(OSError):
        while arrived := client.recv(65536):
            server.sendall(arrived)
    with suppress(OSError):
        server.shutdown(socket.SHUT_WR)


def hand_over(server: socket.socket, client: socket.socket) -> None:
    """Answers go on part by part."""
    with suppress(OSError):
        for part in parts(frames(server)):
            wait_until_read(client)
            client.sendall(part)
    with suppress(OSError):
        wait_until_read(client)
        client.shutdown(socket.SHUT_WR)


def frames(server: socket.socket) -> Iterator[bytes]:
    """Whole frames; what follows a broken one is given up."""
    stream = b""
    while arrived := server.recv(65536):
        stream += arrived
        while len(stream) >= 8 and len(stream) >= (end := 8 + struct.unpack_from("<I", stream, 4)[0]):
            yield stream[:end]
            stream = stream[end:]


def parts(answers: Iterator[bytes]) -> Iterator[bytes]:
    """PREPARE_DATA by itself, then all DATA frames with what closes them; every other frame by itself.

    DATA that answers 1503 at once is not preceded by PREPARE_DATA and not closed by anything.
    """
    held = b""
    prepared = False
    for frame in answers:
        (code,) = struct.unpack_from("<H", frame, 8)
        if code == PREPARE_DATA:
            prepared = True
            yield frame
        elif prepared and code == DATA:
            held += frame
        else:
            prepared = False
            yield held + frame
            held = b""


def wait_until_read(client: socket.socket) -> None:
    """Return when the peer has read all that was sent; raise TimeoutError where it does not.

    What arrives while the peer is just reading is counted a moment later, so two looks must see nothing.
    """
    until = time.monotonic() + PATIENCE_S
    seen_empty = 0
    while seen_empty < 2:
        seen_empty = 0 if unread(client) else seen_empty + 1
        if time.monotonic() > until:
            raise TimeoutError("the client reads nothing")
        time.sleep(LOOK_S)


def unread(client: socket.socket) -> bool:
    """Whether something is not sent yet, or waits to be read by the peer: both ends are on this machine."""
    if struct.unpack("i", fcntl.ioctl(client, SIOCOUTQNSD, bytes(4)))[0]:
        return True
    return waiting_bytes(client.getpeername(), client.getsockname()) > 0


def waiting_bytes(reader: tuple[str, int], writer: tuple[str, int]) -> int:
    """How much the reader's end of a connection holds unread; 0 where there is no such end any more.

    Source: sock_diag(7). /proc/net/tcp says the same, but lists every connection of the machine.
    """
    ends = struct.pack("!HH", reader[1], writer[1])
    ends += b"".join(socket.inet_aton(address).ljust(16, b"\0") for address, _ in (reader, writer))
    # The family, the protocol, nothing more than the queues, any state; any interface, any cookie.
    request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + ends
    request += struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + request)
        answer = kernel.recv(8192)
    (kind,) = struct.unpack_from("=H", answer, 4)
    return int(struct.unpack_from("=I", answer, 72)[0]) if kind == SOCK_DIAG_BY_FAMILY else 0
