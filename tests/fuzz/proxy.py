"""A proxy before a terminal that changes its answers: whole frames, with the checksums repaired."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self, get_args

from zkbridge.simulator.wire.frames import Frame, with_top

Kind = Literal[
    "command",
    "session",
    "reply_id",
    "cut",
    "grow",
    "number",
    "flip",
    "double",
    "flood",
    "drop",
    "event",
    "end",
    "checksum",
    "length",
    "pieces",
]  # fmt: skip - one set
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Bytes before a frame on TCP.
TOP = 8


@dataclass(frozen=True)
class Mutation:
    """What becomes of the frame with this number of a connection; `kind` says what `place` and `value` mean."""

    frame: int
    kind: Kind
    place: int = 0
    value: int = 0

    def applied(self, frame: Frame) -> list[bytes]:  # noqa: PLR0911 - a way out for each kind
        """The frames to send in its place, as bytes of the stream; an empty one at the end closes the connection."""
        command, session, reply_id, data = frame.command, frame.session, frame.reply_id, bytearray(frame.data)
        match self.kind:
            case "command":
                command = self.value & 0xFFFF
            case "session":
                session = self.value & 0xFFFF
            case "reply_id":
                reply_id = (reply_id + self.value) & 0xFFFF
            case "cut":
                del data[self.place % (len(data) + 1) :]
            case "grow":
                data += bytes(self.value % (20_000_000 if self.place % 4 == 0 else 100_000))
            case "number":
                at = 4 * (self.place % (len(data) // 4 + 1))
                data[at : at + 4] = struct.pack("<I", self.value)
            case "flip" if data:
                data[self.place % len(data)] ^= self.value & 0xFF or 1
            case "event":
                told = Frame(500, self.place & 0xFFFF, 0, bytes(self.value % 20_000))
                return [_stream(told), _stream(frame)]
            case "flood":  # some 60 MB of events, or of data
                told = (
                    Frame(500, 1, 0, bytes(1000)) if self.place % 2 else Frame(1501, session, reply_id, bytes(60_000))
                )
                return [_stream(frame)] + [_stream(told)] * (60_000_000 // len(told.data))
            case "checksum":
                stream = bytearray(_stream(frame))
                stream[TOP + 2] ^= 1
                return [bytes(stream)]
            case "length":
                return [_stream(frame)[:4] + struct.pack("<I", self.value) + _stream(frame)[TOP:]]
            case "double":
                return [_stream(frame)] * 2
            case "drop":
                return []
            case "end":
                return [_stream(frame)[: self.place % (TOP + 8 + len(data) + 1)], b""]
            case "pieces":
                whole, step = _stream(frame), max(1, self.value % 50, len(data) // 50)
                return [whole[at : at + step] for at in range(0, len(whole), step)]
        return [_stream(Frame(command, session, reply_id, bytes(data)))]


def _stream(frame: Frame) -> bytes:
    return with_top(frame.packet())


class MutatingProxy:
    """Passes every connection on to a terminal on loopback; `mutations` are applied to what it answers on each."""

    host = "127.0.0.1"

    def __init__(self, terminal_port: int) -> None:
        self.mutations: Sequence[Mutation] = ()
        self.connections = 0
        self._terminal_port = terminal_port
        self._server = socket.create_server((self.host, 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: set[socket.socket] = {self._server}
        self._threads = [threading.Thread(target=self._accept, name="mutating proxy", daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in list(self._sockets):
            _end(each)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                bridge, _ = self._server.accept()
                self.connections += 1
                terminal = socket.create_connection((self.host, self._terminal_port))
                self._sockets |= {bridge, terminal}
                for work in (self._pass_on, self._mutate):
                    thread = threading.Thread(target=work, args=(bridge, terminal), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, bridge: socket.socket, terminal: socket.socket) -> None:
        with suppress(OSError):
            while data := bridge.recv(65536):
                terminal.sendall(data)
        self._close(bridge, terminal)

    def _mutate(self, bridge: socket.socket, terminal: socket.socket) -> None:
        mutations = self.mutations
        with suppress(OSError, EOFError):
            for number, frame in enumerate(_frames(terminal)):
                parts = [_stream(frame)]
                for mutation in mutations:
                    if mutation.frame == number:
                        parts = mutation.applied(frame)
                for part in parts:
                    if not part:
                        raise EOFError
                    bridge.sendall(part)
        self._close(bridge, terminal)

    def _close(self, *sockets: socket.socket) -> None:
        for each in sockets:
            _end(each)
            self._sockets.discard(each)


def _frames(connection: socket.socket) -> Iterator[Frame]:
    while True:
        packet = _exactly(connection, struct.unpack("<4xI", _exactly(connection, TOP))[0])
        command, _checksum, session, reply_id = struct.unpack_from("<4H", packet)
        yield Frame(command, session, reply_id, packet[8:])


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        received = connection.recv(size - len(data))
        if not received:
            raise EOFError
        data += received
    return bytes(data)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
