"""A terminal that plays captured answers: it knows nothing, and gives each command the frames that it was given."""

from __future__ import annotations

import selectors
import socket
import struct
from collections.abc import Mapping, Sequence
from threading import Thread
from types import TracebackType
from typing import NamedTuple, Self

TOP = bytes.fromhex("5050827d")
ACK_OK, PREPARE_DATA, DATA = 2000, 1500, 1501
SESSION = 0x3C5C


class Part(NamedTuple):
    """One frame of an answer; `field` is what the session field holds, None for the session's number."""

    code: int
    data: bytes = b""
    field: int | None = None


Answers = Mapping[int, Sequence[Part]]


def bulk(content: bytes, hint: bytes, size: int, *, last: int | None = None) -> list[Part]:
    """A data set as captured: the announcement, frames of `size` that carry their index, the closing ACK.

    `last` is what the closing ACK carries, the last index unless told otherwise.
    """
    parts = [Part(DATA, content[at : at + size], at // size) for at in range(0, len(content), size)]
    closing = len(parts) - 1 if last is None else last
    return [Part(PREPARE_DATA, struct.pack("<I", len(content)) + hint), *parts, Part(ACK_OK, b"", closing)]


class Playback:
    """TCP and UDP on one port, as long as its `with` lasts; what it has no answer for is acknowledged."""

    host = "127.0.0.1"

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.requests: list[bytes] = []
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind((self.host, self.port))
        self._streams: dict[socket.socket, bytes] = {}
        self._stop, self._stopped = socket.socketpair()
        self._thread = Thread(target=self._run, name="playback")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.close()
        self._thread.join()
        for one in (self._listener, self._datagrams, self._stopped, *self._streams):
            one.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (self._listener, self._datagrams, self._stopped):
                selector.register(one, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._stopped in ready:
                    return
                if self._listener in ready:
                    connection, _ = self._listener.accept()
                    self._streams[connection] = b""
                    selector.register(connection, selectors.EVENT_READ)
                if self._datagrams in ready:
                    packet, address = self._datagrams.recvfrom(65536)
                    for answer in self._answers_to(packet):
                        self._datagrams.sendto(answer, address)
                for connection in self._streams.keys() & set(ready):
                    if not self._serve(connection):
                        selector.unregister(connection)
                        del self._streams[connection]
                        connection.close()

    def _serve(self, connection: socket.socket) -> bool:
        """Answer what has arrived; False at the end of the stream."""
        try:
            arrived = connection.recv(65536)
            stream = self._streams[connection] + arrived
            while len(stream) >= 8 and len(stream) >= (end := 8 + struct.unpack_from("<I", stream, 4)[0]):
                for answer in self._answers_to(stream[8:end]):
                    connection.sendall(TOP + struct.pack("<I", len(answer)) + answer)
                stream = stream[end:]
        except OSError:
            return False
        self._streams[connection] = stream
        return bool(arrived)

    def _answers_to(self, request: bytes) -> list[bytes]:
        self.requests.append(request)
        command, _, _, reply_id = struct.unpack_from("<4H", request)
        if command == ACK_OK:
            return []
        parts = self._answers.get(command, [Part(ACK_OK)])
        return [packed(part, reply_id) for part in parts]


def packed(part: Part, reply_id: int) -> bytes:
    """The part as a packet, with the standard checksum."""
    field = SESSION if part.field is None else part.field
    words = struct.pack("<4H", part.code, 0, field & 0xFFFF, reply_id) + part.data
    total = sum(struct.unpack(f"<{len(words + bytes(len(words) % 2)) // 2}H", words + bytes(len(words) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return words[:2] + struct.pack("<H", total ^ 0xFFFF) + words[4:]
