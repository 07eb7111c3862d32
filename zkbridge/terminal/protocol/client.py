"""pyzk made safe: its commands over exact reads, in which no answer can be taken for another's.

pyzk 0.9 reads an answer with one `recv`, compares no reply id, never ends at a closed connection, and pings by a
shell. Its methods reach the wire through private ones, which are replaced here; what they say of the protocol stays.
"""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import zk
from zk import ZK
from zk.exception import ZKErrorResponse

from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceAuthFailed, DeviceRejected, TerminalError
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.channel import Channel, connect
from zkbridge.terminal.protocol.codes import GOOD, Code, Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.event_queue import EventQueue
from zkbridge.terminal.protocol.failures import BREAKS, failure
from zkbridge.terminal.protocol.tables import MAX_LOG_BYTES, Unreadable
from zkbridge.terminal.protocol.waker import Waker, wait_readable
from zkbridge.terminal.protocol.wire import Frame, Garbled, TooMuch

#: What is replaced of pyzk's private methods, and must be there for it to use ours.
_REPLACED = ("_ZK__create_socket", "_ZK__send_command", "_ZK__ack_ok", "_ZK__recieve_chunk")
#: Bytes asked for at once, as pyzk and the SDK do; a larger piece breaks terminals that count lengths in 16 bits.
_TCP_PIECE, _UDP_PIECE = 0xFFC0, 16 * 1024
#: Pieces asked for at once: so many requests fit one segment of Ethernet, and no terminal's buffer overflows by them.
_TOGETHER = 60
#: How often a piece is asked for again when datagrams were lost.
_PIECE_TRIES = 3
#: The longest event: those that are known have at most 52 bytes, and a terminal may put several punches together.
_MAX_EVENT = 4096
#: A template has a length of 16 bits, and some commands read a byte more.
_MAX_DATA = 64 * 1024
#: So many frames that are no answer are skipped while one is waited for; a terminal that sends more never stops.
_MAX_SKIPPED = 10_000
#: Frames of bulk data, in whose session field a K40 put a size (js_zklib#53).
_BULK = frozenset({Command.PREPARE_DATA, Command.DATA})


def check_pyzk(pyzk: type) -> None:
    """Raise ImportError when this pyzk is not the one whose private methods are replaced here."""
    missing = [name.removeprefix("_ZK") for name in _REPLACED if not callable(getattr(pyzk, name, None))]
    if missing:
        version = ".".join(map(str, getattr(zk, "VERSION", ())))
        raise ImportError(f"pyzk {version} has no {', '.join(missing)}: zkbridge needs pyzk 0.9")


check_pyzk(ZK)


class GivenUp(Exception):
    """A table was left half read, because its reader was interrupted."""


class Client(ZK):
    """A connection to one terminal. Each answer is whole within the device's timeout and before `deadline`.

    Raises ConnectionFailure when the conversation breaks, DeviceRejected (`too_much`) when the terminal sends more than
    it was asked for or can hold: the connection is then gone, and whatever is asked next fails too. Methods of pyzk
    raise ZKErrorResponse when the terminal answers no; `answer` is its number. `events` holds what the terminal told
    unasked, oldest first. `took_together` says what became of the pieces of the last table: None if they were asked
    for one by one, else whether all of them came. `is_freeing`: the terminal has not yet said that it has freed its
    copy of a table.
    """

    def __init__(self, device: Device, deadline: Deadline) -> None:
        udp = device.transport == "udp"
        self._device = device
        self._udp = udp
        try:
            super().__init__(
                device.host,
                device.port,
                timeout=device.timeout,
                password=device.comm_key,
                force_udp=udp,
                ommit_ping=True,
                encoding=device.encoding,
            )
        except OSError as error:  # pyzk opens a socket that it never uses
            raise self._failure(error) from error
        self._ZK__sock.close()
        self._ZK__sock = None  # and no method of pyzk is to read a socket past the channel
        self.deadline = deadline
        self.heard_at = 0.0  # on the monotonic clock
        self.events = EventQueue()
        self._channel: Channel | None = None
        self._broken: Callable[[], TerminalError] | None = None
        self.took_together: bool | None = None
        self._asked = 0
        self._current = 0
        self.is_freeing = False
        self._datagram = 0

    @property
    def usable(self) -> bool:
        """Whether the connection is open and nothing about it is in doubt."""
        return self._channel is not None and self._broken is None

    @property
    def answer(self) -> int:
        """The number of the last answer."""
        return self._ZK__response

    def connect(self) -> Self:
        """Connect and show the communication key if asked. Raises also DeviceAuthFailed, DeviceRejected."""
        self._ZK__create_socket()
        try:
            self._greet()
        except BaseException:
            self.disconnect()
            raise
        self.is_connect = True
        return self

    def disconnect(self) -> bool:
        """Send EXIT if the terminal still answers, and close in any case."""
        try:
            if self.usable:
                with suppress(TerminalError):
                    self.request(Command.EXIT)
        finally:
            self._close()
        return True

    def hang_up(self) -> None:
        """Close without waiting for a word: the terminal is told by a reset, or a last datagram."""
        if self._channel is not None and self._udp:
            with suppress(*BREAKS):
                self._ask(self._channel, Command.EXIT, b"", Deadline.after(1))
        self._close(reset=True)

    def request(self, command: int, data: bytes = b"", *, most: int = wire.MAX_PIECE) -> Frame:
        """Ask, and return the first frame of the answer, whatever it says; it has at most so many bytes."""
        with self._conversation() as channel:
            until = self._until()
            self._ask(channel, command, data, until)
            answer = self._next(channel, until, own=command != Command.CONNECT, most=most)
        self._remember(answer)
        return answer

    def ask(self, command: int) -> None:
        """Ask without waiting; the answer must be taken before anything else is asked."""
        with self._conversation() as channel:
            self._ask(channel, command, b"", self._until())

    def take_answer(self) -> Frame:
        """The first frame of the answer to what was asked."""
        with self._conversation() as channel:
            answer = self._next(channel, self._until(), own=True)
        self._remember(answer)
        return answer

    def read_with_buffer(self, command: int, fct: int = 0, ext: int = 0) -> tuple[bytes, int]:
        """A whole table and its length, as pyzk's own methods ask for it."""
        table, size = self.read_table(command, fct, ext, most=MAX_LOG_BYTES)
        return bytes(table), size

    def read_table(
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
        """A whole table, as one answer or in pieces, and its length; nothing where there is nothing to read.

        Raises Unreadable where the terminal announces more than `most` bytes; the connection is as good as before.

        Whoever has it need not wait until the terminal has freed its copy: whatever is asked next does.

        `start_at` is told the length and may say from where on it is wanted; what comes as one answer is whole.

        `give_up` is asked before each piece: GivenUp is raised then, and the connection is as good as before.

        `together` asks for all pieces of a stream before the first has come; see `took_together`. `shifted` cuts the
        table into datagrams at other places than before: datagrams that change places on their way cannot make the
        same table in both. Source: zk-protocol `data.md` (1503, 1504, 1502). Raises ZKErrorResponse when the terminal
        refuses.
        """
        self.took_together = None
        asked = struct.pack("<bhii", 1, command, fct, ext)
        answer = self.request(Command.PREPARE_BUFFER, asked, most=min(most + wire.HEADER_BYTES, wire.MAX_PACKET))
        if answer.command == Command.DATA:
            return memoryview(answer.data), len(answer.data)
        if answer.command != Code.OK:
            raise ZKErrorResponse(f"no table, answer {answer.command}")
        if len(answer.data) < 5:
            return memoryview(b""), 0
        (size,) = struct.unpack_from("<I", answer.data, 1)
        if size > most:
            self._free()
            raise Unreadable(f"{size} bytes are announced, and a terminal holds at most {most}")
        cuts = [(start, end - start) for start, end in self._cuts(start_at(size), size, shifted=shifted)]
        table = self._pieces_together(cuts) if together and len(cuts) > 1 and not self._udp else None
        if table is None:
            table = bytearray()
            for start, length in cuts:
                if give_up():
                    self.request(Command.FREE_DATA)
                    raise GivenUp
                table += self._piece(start, length)
        self._free()
        return memoryview(table), size

    def _free(self) -> None:
        """Have the terminal free its copy of a table; what it says to that does not matter."""
        self.ask(Command.FREE_DATA)
        self.is_freeing = True

    def read_data(self, command: int, data: bytes) -> bytes:
        """Data that is asked for directly, in as many frames as it takes. Raises ZKErrorResponse when refused."""
        return self._whole(command, data, None)

    def event(self, until: Deadline, waker: Waker | None = None) -> Frame | None:
        """What the terminal tells next; None when the time is over or somebody woke us."""
        while not self.events:
            with self._conversation() as channel:
                if not channel.holds_frame() and not wait_readable(channel.fileno(), until, waker):
                    return None
                frame = channel.receive(Deadline.after(self._device.timeout), wire.MAX_PIECE)
                self.heard_at = time.monotonic()
                if frame.command == Command.EVENT:
                    self._hear(frame)
                elif not wire.is_earlier(frame.reply_id, self._asked % wire.REPLY_IDS, self._asked + 1):
                    raise Garbled(f"an answer to request {frame.reply_id}, which was not asked")
        return self.events.popleft()

    def acknowledge(self) -> None:
        """Tell the terminal that its event has arrived: it answers nothing (zk-protocol `realtime.md`)."""
        self._ZK__ack_ok()

    def rejected(self, operation: str) -> DeviceRejected:
        """The error for an answer that was not a yes."""
        host, port = self._device.host, self._device.port
        return DeviceRejected("answer", host=host, port=port, operation=operation, answer=self.answer)

    def _greet(self) -> None:
        """CONNECT, and AUTH where that is answered by 2005, as a terminal may ask although its key is 0 (pyzk#1)."""
        answer = self.request(Command.CONNECT)
        self._ZK__session_id = answer.session
        if answer.command == Code.UNAUTH:
            key = wire.scramble_key(self._device.comm_key, answer.session)
            if self.request(Command.AUTH, key).command != Code.OK:
                raise DeviceAuthFailed(host=self._device.host, port=self._device.port)
        elif answer.command != Code.OK:
            raise self.rejected("CONNECT")

    def _cuts(self, start: int, size: int, *, shifted: bool) -> Iterator[tuple[int, int]]:
        step = _UDP_PIECE if self._udp else _TCP_PIECE
        first = self._datagram // 2 if shifted else 0
        starts = [start, *range(start + first, size, step)] if first else range(start, size, step)
        return itertools.pairwise([*starts, size])

    def _pieces_together(self, cuts: list[tuple[int, int]]) -> bytearray | None:
        """All pieces, asked for without waiting for the first; None where one was refused or is of another size.

        So node-zklib, zklib-js and zkteco-js do it, so terminals know it; every answer carries the id of its request.
        After a refusal the conversation can go on: what still comes is late then, and skipped.
        """
        self.took_together = False
        received = bytearray()
        for start in range(0, len(cuts), _TOGETHER):
            batch = cuts[start : start + _TOGETHER]
            with self._conversation() as channel:
                first = self._send(channel, [(Command.READ_BUFFER, _piece_of(*cut)) for cut in batch], self._until())
            for number, (_start, size) in enumerate(batch, first):
                self._current = number
                piece = self._take_piece(size)
                if piece is None or len(piece) != size:
                    return None
                received += piece
        self.took_together = True
        return received

    def _take_piece(self, size: int) -> bytes | None:
        with self._conversation() as channel:
            head = self._next(channel, self._until())
        with suppress(ZKErrorResponse):
            return self._bulk(head, size)
        return None

    def _piece(self, start: int, size: int) -> bytes:
        return self._whole(Command.READ_BUFFER, _piece_of(start, size), size)

    def _whole(self, command: int, data: bytes, size: int | None) -> bytes:
        """Data of this size, or of any. Lost datagrams are asked for again: late ones carry an earlier reply id."""
        for _ in range(_PIECE_TRIES if self._udp else 1):
            received = self._bulk(self.request(command, data), _MAX_DATA if size is None else size)
            if received is not None and size in (None, len(received)):
                return received
        with self._conversation():
            raise Garbled(f"data that is not of {size} bytes" if size is not None else "data that is not whole")

    def _bulk(self, head: Frame, most: int = _MAX_DATA) -> bytes | None:
        """The data that an answer announces or is; None where datagrams are missing. Raises ZKErrorResponse."""
        if head.command == Command.DATA:
            return head.data
        if head.command != Command.PREPARE_DATA:
            raise ZKErrorResponse(f"no data, answer {head.command}")
        with self._conversation() as channel:
            return self._collect(channel, head, self._until(), most)

    def _collect(self, channel: Channel, head: Frame, until: Deadline, most: int) -> bytes | None:
        """The DATA frames that PREPARE_DATA announced, in any number, up to the ACK_OK that closes them."""
        size = _announced(head, most)
        pieces: set[bytes] = set()
        data = bytearray()
        # A datagram with the closing ACK may be lost, and nothing with it; in a stream it is there, and is taken out.
        while len(data) < size or not self._udp:
            frame = self._next(channel, until)
            if frame.command == Code.OK:
                break
            if self._udp and frame == head:
                continue  # the announcement's datagram twice
            if frame.command != Command.DATA or not frame.data:
                raise Garbled(f"{frame.command} with {len(frame.data)} bytes among data")
            if self._udp:
                if frame.data in pieces:
                    continue  # the same datagram twice: no two parts of a table are alike
                pieces.add(frame.data)
            data += frame.data
            self._datagram = max(self._datagram, len(frame.data))
            if len(data) > size:
                raise TooMuch(f"{len(data)} bytes of data where {size} were announced")
        if len(data) < size and not self._udp:
            raise Garbled("less data than announced")
        return bytes(data) if len(data) == size else None

    def _ask(self, channel: Channel, command: int, data: bytes, until: Deadline) -> None:
        self._current = self._send(channel, [(command, data)], until)

    def _send(self, channel: Channel, requests: list[tuple[int, bytes]], until: Deadline) -> int:
        """Send requests in one go; the number of the first, counted from the beginning of the connection."""
        if self.is_freeing:
            self.is_freeing = False
            self._next(channel, until)
        if until.passed:
            raise TimeoutError
        first = self._asked
        self._asked += len(requests)
        session = self._ZK__session_id
        frames = [
            Frame(command, session, number % wire.REPLY_IDS, data)
            for number, (command, data) in enumerate(requests, first)
        ]
        channel.send(*frames, until=until)
        return first

    def _hear(self, event: Frame) -> None:
        if len(event.data) > _MAX_EVENT:
            raise TooMuch(f"an event of {len(event.data)} bytes")
        self.events.append(event)

    def _next(self, channel: Channel, until: Deadline, *, own: bool = False, most: int = wire.MAX_PIECE) -> Frame:
        """The next frame of the answer to the last request; events are set aside, late answers skipped.

        `own` skips answers of another session too. In a stream there are none, and some terminals put a size or a
        state in that field (js_zklib#53, pyzatt); but a datagram may be left from an earlier use of this port.
        """
        reply_id = self._current % wire.REPLY_IDS
        for _ in range(_MAX_SKIPPED):
            frame = channel.receive(until, most)
            self.heard_at = time.monotonic()
            if frame.command == Command.EVENT:
                self._hear(frame)
            elif frame.reply_id == reply_id:
                if not (own and self._is_stray(frame)):
                    return frame
            elif not wire.is_earlier(frame.reply_id, reply_id, self._current + 1):
                raise Garbled(f"an answer to request {frame.reply_id}, which was not asked")
        raise TooMuch(f"{_MAX_SKIPPED} frames, and no answer among them")

    def _is_stray(self, frame: Frame) -> bool:
        return self._udp and frame.command not in _BULK and frame.session != self._ZK__session_id

    def _until(self) -> Deadline:
        return self.deadline.within(self._device.timeout)

    def _conversation(self) -> _Talking:
        """The open channel, in a `with`; whatever breaks the conversation ends it for good.

        What is asked afterwards fails in the same way; as garbled after TooMuch, for it may succeed elsewhere.
        """
        if self._broken is not None:
            raise self._broken()
        if self._channel is None:
            raise self._failure(EOFError())
        if self.deadline.passed:
            raise self._failure(TimeoutError())  # nothing was asked: the connection is as good as before
        return _Talking(self._channel, self._break)

    def _break(self, error: Exception) -> TerminalError:
        found = self._failure(error)
        later = self._failure(Garbled()) if isinstance(error, TooMuch) else found
        # An error of its own each time: the traceback of one that was raised holds all that was received.
        self._broken = partial(_renewed, type(later), later.reason, later.facts)
        self.hang_up()
        return found

    def _failure(self, error: Exception) -> TerminalError:
        return failure(error, self._device.host, self._device.port)

    def _remember(self, answer: Frame) -> None:
        """Where pyzk's own methods look for the last answer."""
        self._ZK__header = (answer.command, 0, answer.session, answer.reply_id)
        self._ZK__response = answer.command
        self._ZK__reply_id = answer.reply_id
        self._ZK__data = answer.data
        self._ZK__tcp_length = wire.HEADER_BYTES + len(answer.data)

    def _close(self, *, reset: bool = False) -> None:
        self.is_connect = False
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close(reset=reset)

    # What pyzk calls. The names are its private ones as Python mangles them.

    def _ZK__create_socket(self) -> None:  # noqa: N802 - pyzk's name
        try:
            self._channel = connect(self._device.host, self._device.port, udp=self._udp, until=self._until())
        except BREAKS as error:
            raise self._failure(error) from error

    def _ZK__send_command(  # noqa: N802 - pyzk's name
        self, command: int, command_string: bytes = b"", response_size: int = 8
    ) -> dict[str, Any]:
        del response_size  # pyzk's guess; the frame tells
        answer = self.request(command, command_string)
        return {"status": answer.command in GOOD, "code": answer.command}

    def _ZK__recieve_chunk(self) -> bytes | None:  # noqa: N802 - pyzk's name
        return self._bulk(Frame(self._ZK__response, 0, self._ZK__reply_id, self._ZK__data))

    def _ZK__ack_ok(self) -> None:  # noqa: N802 - pyzk's name
        with self._conversation() as channel:
            channel.send(Frame(Code.OK, self._ZK__session_id, 0, b""), until=self._until())


class _Talking:
    """A `with` around what is said on a channel. A class, because a generator's takes as long as building a frame."""

    __slots__ = ("_broken", "_channel")

    def __init__(self, channel: Channel, broken: Callable[[Exception], TerminalError]) -> None:
        self._channel = channel
        self._broken = broken

    def __enter__(self) -> Channel:
        return self._channel

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BREAKS):
            raise self._broken(error) from error


def _renewed(kind: type[TerminalError], reason: str, facts: dict[str, Any]) -> TerminalError:
    return kind(reason, **facts)


def _piece_of(start: int, size: int) -> bytes:
    return struct.pack("<ii", start, size)


def _announced(head: Frame, most: int) -> int:
    if len(head.data) < 4:
        raise Garbled("a size is missing")
    size = int.from_bytes(head.data[:4], "little")
    if size > most:
        raise TooMuch(f"{size} bytes where {most} were asked for")
    return size
