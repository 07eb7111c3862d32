"""What a terminal sends: a stream of frames, tables of users, punches and fingers, events, sizes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from tests.fuzz.parsers.target import Target, holds
from zkbridge.port.users import UserChanges
from zkbridge.simulator.wire.frames import Frame, with_top
from zkbridge.terminal.protocol.channel import TcpChannel
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.sizes import parse_sizes
from zkbridge.terminal.protocol.tables import Unreadable, records_of
from zkbridge.terminal.protocol.wire import Garbled, decode_time, unpack
from zkbridge.terminal.records.decoded import Decoded
from zkbridge.terminal.records.punches import in_order, parse_event, parse_log
from zkbridge.terminal.records.record_size import record_size_of
from zkbridge.terminal.records.templates import parse_templates
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.terminal.records.users import decode, rewrite

_ENCODINGS = ("utf-8", "cp1256", "gb18030", "latin-1")
_USER_28 = struct.pack("<HB5s8sIxBHI", 1, 0, b"12", b"Ana", 7, 1, 0, 1001)
_USER_72 = struct.pack("<HB8s24sI1x7s1x24s", 1, 14, b"1234", "Ñandú".encode(), 77, b"1", b"1001")


def stream(data: bytes) -> None:
    """What comes over TCP, until it cannot be read, or ends."""
    ours, theirs = socket.socketpair()
    channel = TcpChannel(ours)
    try:
        theirs.sendall(data)
        theirs.close()
        while True:
            channel.receive(Deadline.after(5), 65_536)
    except (Garbled, EOFError):
        pass
    finally:
        channel.close()
    with suppress(Garbled):
        unpack(data)


def _stream_seeds() -> Iterator[bytes]:
    frames = [Frame(2000, 5, 1, b""), Frame(1500, 5, 2, b"\x10\0\0\0"), Frame(1501, 5, 2, b"\1\2\3")]
    yield with_top(frames[0].packet())
    yield b"".join(with_top(frame.packet()) for frame in frames)


def users(data: bytes) -> None:
    """The first four bytes: encoding, the terminal's count, the record size that is known; the rest is the table."""
    if len(data) < 4:
        return
    encoding, count = _ENCODINGS[data[0] % 4], None if data[1] & 1 else data[2]
    known = (None, 28, 72)[data[3] % 3]
    with suppress(Unreadable):
        records = records_of(data[4:], count)
        size = record_size_of(records, count=count, known=known, encoding=encoding)  # type: ignore[arg-type] # of 0, 28, 72
        if size is None:
            return
        holds(len(records) % size == 0, "a size that does not fit")
        table = RecordTable(records, record_size=size, encoding=encoding)
        for at, user in enumerate(table):
            same = decode(bytes(records[at * size : (at + 1) * size]), encoding=encoding)
            holds(same == user, "a record that is read in two ways")
            found = table.by_user_id(user.user_id)
            readable = user.user_id and "\ufffd" not in user.user_id
            holds(not readable or (found is not None and found.user_id == user.user_id), "a user who is not found")
            holds(table.by_uid(user.uid) is not None, "a uid that is not found")
            holds(rewrite(user, UserChanges(), encoding=encoding) == user.record, "a change of nothing changes bits")
            table.owners(user.uid)
        table.widest_user_id()
        if len(table) < 65_535:
            holds(table.by_uid(table.next_uid()) is None, "a uid that is not free")


def _users_seeds() -> Iterator[bytes]:
    for record in (_USER_28, _USER_72):
        for many in (0, 1, 3):
            table = record * many
            yield bytes((0, 0, many, 0)) + struct.pack("<I", len(table)) + table
            yield bytes((2, 1, 0, 2)) + struct.pack("<I", len(table)) + table


def punches(data: bytes) -> None:
    """The first two bytes: what the terminal counts, if anything; the rest is its log."""
    if len(data) < 2:
        return
    counts = None if data[0] & 1 else range(data[1], data[1] + 1 + (data[0] >> 4))
    with suppress(Unreadable):
        found = parse_log(records_of(data[2:], None if counts is None else counts[0]), counts)
        if found is not None:
            in_order(found)
            holds(not isinstance(found, Decoded) or len(list(found)) == len(found), "a log of two lengths")


def _punches_seeds() -> Iterator[bytes]:
    when = 833_000_000
    records = (
        struct.pack("<H24sBIB8x", 1, b"1001", 1, when, 0),
        struct.pack("<H24sBIB17x", 1, b"1001", 1, when, 0),
        struct.pack("<IIBB6x", 1001, when, 1, 0),
        struct.pack("<HBIB", 1, 1, when, 0),
        struct.pack("<HBBI", 1, 1, 0, when),
    )
    for record in records:
        for many in (1, 9):
            yield bytes((0, many)) + struct.pack("<I", len(record) * many) + record * many
            yield bytes((1, 0)) + struct.pack("<I", len(record) * many) + record * many


def event(data: bytes) -> None:
    """An event; the same bytes as an answer to the question for sizes, and as times."""
    found = parse_event(data)
    holds(len(found) <= max(1, len(data) // 32), "more punches than fit")
    parse_sizes(data)
    for at in range(0, len(data) - 3, 4):
        decode_time(int.from_bytes(data[at : at + 4], "little"))


def _event_seeds() -> Iterator[bytes]:
    when = bytes((26, 3, 2, 9, 0, 0))
    yield struct.pack("<HBB", 1, 1, 0) + when
    yield struct.pack("<IBB", 1, 1, 0) + when
    for size in (32, 36, 37, 52, 64):
        yield (struct.pack("<24sBB", b"1001", 1, 0) + when).ljust(size, b"\0")
    yield struct.pack("<23i", *range(23))


def fingers(data: bytes) -> None:
    """A table of templates."""
    with suppress(Unreadable):
        found = parse_templates(records_of(data, None))
        holds(sum(len(each.template) for each in found) <= len(data), "templates of more bytes than there are")


def _fingers_seeds() -> Iterator[bytes]:
    entry = struct.pack("<HHBB", 16, 1, 6, 1) + b"M\xfdSS21ABCD"
    for many in (0, 1, 4):
        yield struct.pack("<I", len(entry) * many) + entry * many


TARGETS = (
    Target("stream", stream, _stream_seeds, longest=16_384),
    Target("users", users, _users_seeds, longest=16_384),
    Target("punches", punches, _punches_seeds, longest=16_384),
    Target("event", event, _event_seeds),
    Target("fingers", fingers, _fingers_seeds),
)
