"""Tables and other data of several frames, read whole or not at all.

Source: zk-protocol `data.md` (1503 prepares a table, 1504 reads a piece of it, 1502 frees it; 1500 and 1501 are data).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from zk.exception import ZKErrorResponse

from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.channel import Channel
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.exchange import Exchange
from zkbridge.terminal.protocol.tables import Unreadable
from zkbridge.terminal.protocol.wire import Frame, Garbled, TooMuch

#: Bytes asked for at once, as pyzk and the SDK do; a larger piece breaks terminals that count lengths in 16 bits.
TCP_PIECE, UDP_PIECE = 0xFFC0, 16 * 1024
#: Pieces asked for at once: so many requests fit one segment of Ethernet, and no terminal's buffer overflows by them.
TOGETHER = 60
#: How often a piece is asked for again when datagrams were lost.
_PIECE_TRIES = 3
#: A template has a length of 16 bits, and some commands read a byte more.
_MAX_DATA = 64 * 1024


class ReadInterrupted(Exception):
    """A table was left half read, because its reader was interrupted."""


class BulkReader:
    """Reads data of several frames over an exchange; its methods raise the exchange's errors as well.

    `took_together` says what became of the pieces of the last table: None if they were asked for one by one, else
    whether all of them came. `numbered` says whether the frames of the last table stood in a known order: all of them
    in a stream; over datagrams where each carries its number (js_zklib#7, #50, pyzk test.py: captures).
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._udp = exchange.is_udp
        self._datagram = 0  # the most data that one frame has brought, in bytes
        self.took_together: bool | None = None
        self.numbered = True

    def table(
        self,
        command: int,
        fct: int = 0,
        ext: int = 0,
        *,
        shifted: bool = False,
        together: bool = False,
        give_up: Callable[[], bool] = lambda: False,
        start_at: Callable[[int], int] = lambda _size: 0,
        most: int,
    ) -> tuple[memoryview, int]:
        """A whole table, as one answer or in pieces, and its length in bytes; nothing where there is nothing to read.

        Raises Unreadable where the terminal announces more than `most` bytes; the connection is as good as before.
        Raises ZKErrorResponse when the terminal refuses.

        The terminal frees its copy afterwards; only the next request waits for that.

        `start_at` is called with the length and may return the place from which on the table is wanted; a table that
        comes as one answer is whole all the same.

        `give_up` is asked before each piece: where it returns True, ReadInterrupted is raised, and the connection is
        as good as before.

        `together` asks for all pieces of a stream before the first has come; see `took_together`. `shifted` cuts the
        table into datagrams at other places than before: datagrams that change places on their way cannot make the
        same table in both.
        """
        self.took_together = None
        self.numbered = True
        asked = struct.pack("<bhii", 1, command, fct, ext)
        answer = self._exchange.request(
            Command.PREPARE_BUFFER, asked, most=min(most + wire.HEADER_BYTES, wire.MAX_PACKET)
        )
        if answer.command == Command.DATA:
            return memoryview(answer.data), len(answer.data)
        if answer.command != Code.OK:
            raise ZKErrorResponse(f"no table, answer {answer.command}")
        if len(answer.data) < 5:
            return memoryview(b""), 0
        (size,) = struct.unpack_from("<I", answer.data, 1)
        if size > most:
            self._exchange.free()
            raise Unreadable(f"{size} bytes are announced, and the bridge reads at most {most}")
        cuts = [(start, end - start) for start, end in self._cuts(start_at(size), size, shifted=shifted)]
        table = self._pieces_together(cuts) if together and len(cuts) > 1 and not self._udp else None
        if table is None:
            table = self._pieces_in_turn(cuts, give_up)
        self._exchange.free()
        return memoryview(table), size

    def data(self, command: int, request: bytes, size: int | None = None) -> bytes:
        """Data of this size, or of any, that one request asks for. Raises ZKErrorResponse when refused.

        Lost datagrams are asked for again: late ones carry an earlier reply id.
        """
        for _ in range(_PIECE_TRIES if self._udp else 1):
            received = self.rest(self._exchange.request(command, request), _MAX_DATA if size is None else size)
            if received is not None and size in (None, len(received)):
                return received
        with self._exchange.conversation():
            raise Garbled(f"data that is not of {size} bytes" if size is not None else "data that is not whole")

    def rest(self, head: Frame, most: int = _MAX_DATA) -> bytes | None:
        """The data that the first frame of an answer announces or is, at most so many bytes.

        None where datagrams are missing. Raises ZKErrorResponse where the answer is no data.
        """
        if head.command == Command.DATA:
            return head.data
        if head.command != Command.PREPARE_DATA:
            raise ZKErrorResponse(f"no data, answer {head.command}")
        with self._exchange.conversation() as channel:
            return self._collect(channel, head, self._exchange.until(), most)

    def _cuts(self, start: int, size: int, *, shifted: bool) -> Iterator[tuple[int, int]]:
        step = UDP_PIECE if self._udp else TCP_PIECE
        first = self._datagram // 2 if shifted else 0
        starts = [start, *range(start + first, size, step)] if first else range(start, size, step)
        return itertools.pairwise([*starts, size])

    def _pieces_in_turn(self, cuts: list[tuple[int, int]], give_up: Callable[[], bool]) -> bytearray:
        received = bytearray()
        for start, length in cuts:
            if give_up():
                self._exchange.request(Command.FREE_DATA)
                raise ReadInterrupted
            received += self.data(Command.READ_BUFFER, _piece_of(start, length), length)
        return received

    def _pieces_together(self, cuts: list[tuple[int, int]]) -> bytearray | None:
        """All pieces, asked for without waiting for the first; None where one was refused or is of another size.

        node-zklib, zklib-js and zkteco-js do so, so terminals know it; every answer carries the id of its request.
        After a refusal the conversation can go on: what still comes is late then, and skipped.
        """
        self.took_together = False
        received = bytearray()
        for start in range(0, len(cuts), TOGETHER):
            batch = cuts[start : start + TOGETHER]
            first = self._exchange.ask_together([(Command.READ_BUFFER, _piece_of(*cut)) for cut in batch])
            for number, (_start, size) in enumerate(batch, first):
                piece = self._take_piece(number, size)
                if piece is None or len(piece) != size:
                    return None
                received += piece
        self.took_together = True
        return received

    def _take_piece(self, number: int, size: int) -> bytes | None:
        head = self._exchange.take_answer_to(number)
        with suppress(ZKErrorResponse):
            return self.rest(head, size)
        return None

    def _collect(self, channel: Channel, head: Frame, until: Deadline, most: int) -> bytes | None:
        """The DATA frames that PREPARE_DATA announced, in any number, up to the ACK_OK that closes them."""
        size = _announced(head, most)
        pieces: list[Frame] = []
        seen: set[tuple[int, bytes]] = set()
        received = 0
        # A datagram with the closing ACK may be lost, and nothing with it; in a stream it is there, and is taken out.
        while received < size or not self._udp:
            frame = self._exchange.next_frame(channel, until)
            if frame.command == Code.OK:
                break
            if self._udp and frame == head:
                continue  # the announcement's datagram twice
            if frame.command != Command.DATA or not frame.data:
                raise Garbled(f"{frame.command} with {len(frame.data)} bytes among data")
            if self._udp:
                if (frame.session, frame.data) in seen:
                    continue  # the same datagram twice: it has the same number, or the same contents and none has one
                seen.add((frame.session, frame.data))
            pieces.append(frame)
            received += len(frame.data)
            self._datagram = max(self._datagram, len(frame.data))
            if received > size:
                raise TooMuch(f"{received} bytes of data where {size} were announced")
        if received < size and not self._udp:
            raise Garbled("less data than announced")
        return b"".join(self._in_order(pieces)) if received == size else None

    def _in_order(self, pieces: list[Frame]) -> list[bytes]:
        """The data of frames: of datagrams by their numbers, where those count up from 0; else as they came."""
        if self._udp:
            if sorted(piece.session for piece in pieces) == list(range(len(pieces))):
                pieces.sort(key=lambda piece: piece.session)
            elif len(pieces) > 1:
                self.numbered = False
        return [piece.data for piece in pieces]


def _piece_of(start: int, size: int) -> bytes:
    return struct.pack("<ii", start, size)


def _announced(head: Frame, most: int) -> int:
    if len(head.data) < 4:
        raise Garbled("a size is missing")
    size = int.from_bytes(head.data[:4], "little")
    if size > most:
        raise TooMuch(f"{size} bytes where {most} were asked for")
    return size
