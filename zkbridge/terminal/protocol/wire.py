"""Frames of the ZKTeco protocol as bytes, and back.

Sources: adrobinoga/zk-protocol `protocol.md` (layout, checksum, events), pyzk 0.9 (reply ids, communication key, time).
All numbers are little-endian.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import NamedTuple

MAGIC = b"\x50\x50\x82\x7d"
TOP_BYTES = 8
HEADER_BYTES = 8
#: The longest frame that is believed: a table that comes as one answer. Terminals send at most about 1 KB so.
MAX_PACKET = 2 * 1024 * 1024
#: The longest frame of any other kind: a piece of a table, with its header.
MAX_PIECE = 64 * 1024 + HEADER_BYTES
#: Reply ids run from 0 to 65534 and begin again.
REPLY_IDS = 0xFFFF

_TOP = struct.Struct("<4sI")
_HEADER = struct.Struct("<4H")
_WORD_SUM = 0xFFFF


class Garbled(Exception):
    """What arrived is not what the protocol allows; the stream cannot be trusted any more."""


class TooMuch(Garbled):
    """The terminal sends more than it was asked for, or more than a terminal can hold."""


class Frame(NamedTuple):
    """One packet. `session` is the session's id, or an event's code; `reply_id` is 0 in events.

    A tuple, because a frozen dataclass takes twice as long to make.
    """

    command: int
    session: int
    reply_id: int
    data: bytes


def pack(frame: Frame) -> bytes:
    """Header and data, with the checksum filled in: what goes into one UDP datagram."""
    command, session, reply_id, data = frame
    checksum = _WORD_SUM ^ _sum(_HEADER.pack(command, 0, session, reply_id) + data)
    return _HEADER.pack(command, checksum, session, reply_id) + data


def unpack(packet: bytes) -> Frame:
    """The frame in a datagram, or after a TCP top. Raises Garbled when it is short or its checksum is wrong."""
    if len(packet) < HEADER_BYTES:
        raise Garbled(f"a packet of {len(packet)} bytes")
    if _sum(packet) % _WORD_SUM:
        raise Garbled("a wrong checksum")
    command, _checksum, session, reply_id = _HEADER.unpack_from(packet)
    return Frame(command, session, reply_id, packet[HEADER_BYTES:])


def with_top(packet: bytes) -> bytes:
    """The packet as it goes into a TCP stream."""
    return _TOP.pack(MAGIC, len(packet)) + packet


def packet_length(top: bytes | bytearray, most: int = MAX_PACKET) -> int:
    """How many bytes follow these first 8 of a TCP frame.

    Raises Garbled when they are no such thing, TooMuch when the frame is longer than `most`.
    """
    magic, length = _TOP.unpack(top)
    if magic != MAGIC:
        raise Garbled("bytes that begin no frame")
    if length < HEADER_BYTES:
        raise Garbled(f"a frame of {length} bytes")
    if length > most:
        raise TooMuch(f"a frame of {length} bytes")
    return int(length)


def is_earlier(reply_id: int, current: int, asked: int) -> bool:
    """Whether a reply id belongs to one of the `asked` requests before the current one."""
    return 0 < (current - reply_id) % REPLY_IDS < asked


def scramble_key(key: int, session: int, ticks: int = 50) -> bytes:
    """The communication key as AUTH sends it: four bytes that depend on the session's id.

    Source: MakeKey of the SDK's commpro.c as pyzk 0.9 describes it; the sum is held to 32 bits here.
    """
    mirrored = int(f"{key:032b}"[::-1], 2)
    mixed = ((mirrored + session) & 0xFFFFFFFF).to_bytes(4, "little")
    _lost, b, c, d = (byte ^ letter for byte, letter in zip(mixed, b"ZKSO", strict=True))
    return bytes((c ^ ticks, d ^ ticks, ticks, b ^ ticks))


def decode_time(value: int) -> datetime | None:
    """A terminal's clock, without a time zone; None where the value is no date, as every month has 31 slots here."""
    rest, second = divmod(value, 60)
    rest, minute = divmod(rest, 60)
    rest, hour = divmod(rest, 24)
    rest, day = divmod(rest, 31)
    year, month = divmod(rest, 12)
    return moment((2000 + year, month + 1, day + 1, hour, minute, second))


def moment(parts: tuple[int, int, int, int, int, int]) -> datetime | None:
    """Year to second as a date-time without a time zone, None where there is no such date."""
    try:
        return datetime(*parts)  # noqa: DTZ001 - a terminal's wall clock has no zone
    except ValueError:
        return None


def _sum(packet: bytes) -> int:
    """The one's-complement sum of 16-bit words: since 2**16 leaves 1 modulo 65535, one division adds all the words."""
    number = int.from_bytes(packet, "little")
    return number % _WORD_SUM or (_WORD_SUM if number else 0)
