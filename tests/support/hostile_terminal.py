"""A terminal that misbehaves on purpose: a small server on loopback that answers every request as a test wants it."""

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Self

from zkbridge.simulator.wire.frames import Frame, with_top

OK, DATA, PREPARE, EVENT, UNKNOWN = 2000, 1501, 1500, 500, 65535
CONNECT, SIZES, PREPARE_BUFFER, READ_BUFFER, FREE_DATA = 1000, 50, 1503, 1504, 1502
USERS, LOG = 9, 13
USER_WRQ, UNLOCK = 8, 31
SESSION = 0x1F2E
#: Bytes of a DATA frame.
_FRAME = 0xFFC0

#: What to send for a request: whole frames, or bytes as they are.
Answer = Iterable[Frame | bytes]


def reply(request: Frame, command: int = OK, data: bytes = b"") -> Frame:
    """A frame that answers a request."""
    return Frame(command, SESSION, request.reply_id, data)


def event(data: bytes, code: int = 1) -> Frame:
    """An event; code 1 is a punch."""
    return Frame(EVENT, code, 0, data)


class HostileTerminal:
    """Serves one connection after the other over TCP; a context manager.

    `answer` makes the answer to a request; None leaves it to `honest`: 2000, and the tables as given. `tables` is
    what stands behind 1503 by its command, with the length before the records; `sizes` are the words of GET_FREE_SIZES
    by their place.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        answer: Callable[[Frame], Answer | None] = lambda _request: None,
        *,
        tables: dict[int, bytes] | None = None,
        sizes: dict[int, int] | None = None,
    ) -> None:
        self._answer = answer
        self._tables = tables or {}
        self._sizes = sizes or {}
        self.connections = 0
        self._words = 20
        self._table = b""
        self._server = socket.create_server((self.host, 0))
        self.port: int = self._server.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name="hostile terminal", daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    def show(self, tables: dict[int, bytes], sizes: dict[int, int], *, whole_sizes: bool = True) -> None:
        """Have other tables and sizes from now on; sizes that are not whole are too short to hold any count."""
        self._tables, self._sizes, self._words = tables, sizes, 20 if whole_sizes else 2

    def tell(self, parts: Iterable[Frame | bytes]) -> None:
        """Send this on every connection that is open, without being asked."""
        sent = b"".join(part if isinstance(part, bytes) else with_top(part.packet()) for part in parts)
        for each in tuple(self._open):
            with suppress(OSError):
                each.sendall(sent)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connections += 1
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            for request in _requests(connection):
                answer = self._answer(request)
                for part in self.honest(request) if answer is None else answer:
                    connection.sendall(part if isinstance(part, bytes) else with_top(part.packet()))
        self._open.discard(connection)

    def honest(self, request: Frame) -> Iterator[Frame]:
        """What a terminal with these tables and sizes answers."""
        if request.command == SIZES:
            words = [self._sizes.get(at, 0) for at in range(self._words)]
            yield reply(request, OK, struct.pack(f"<{len(words)}i", *words))
        elif request.command == PREPARE_BUFFER:
            (command,) = struct.unpack_from("<h", request.data, 1)
            self._table = self._tables.get(command, b"\0\0\0\0")
            yield reply(request, OK, struct.pack("<BI", 0, len(self._table)) + bytes(8))
        elif request.command == READ_BUFFER:
            start, size = struct.unpack("<ii", request.data)
            yield reply(request, PREPARE, struct.pack("<II", size, _FRAME))
            for at in range(start, start + size, _FRAME):
                yield reply(request, DATA, self._table[at : min(at + _FRAME, start + size)])
            yield reply(request)
        elif request.command != OK:
            yield reply(request)


def table(records: bytes) -> bytes:
    """Records as they stand behind 1503."""
    return len(records).to_bytes(4, "little") + records


def _requests(connection: socket.socket) -> Iterator[Frame]:
    while True:
        top = _exactly(connection, 8)
        packet = _exactly(connection, int.from_bytes(top[4:], "little")) if top else b""
        if len(packet) < 8:
            return
        command, _checksum, session, reply_id = struct.unpack_from("<4H", packet)
        yield Frame(command, session, reply_id, packet[8:])


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        received = connection.recv(size - len(data))
        if not received:
            return b""
        data += received
    return data
