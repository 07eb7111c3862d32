"""Bytes on the wire: frames, checksum, communication key and times, as pure functions.

Sources: adrobinoga/zk-protocol (protocol.md, terminal.md), the command manual of 2006, and captures whose
checksums were recomputed (coding-libs/js_zklib issue 53, fananimi/pyzk issue 41). Integers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime

MAGIC = b"\x50\x50\x82\x7d"
_HEADER = struct.Struct("<4H")
_TOP = struct.Struct("<4sI")

#: A declared length above this is noise, not a request: the longest upload seen is one template.
MAX_FRAME = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet without the TCP top; `intact`: whether a received checksum was right."""

    command: int
    session: int
    reply_id: int
    data: bytes = b""
    intact: bool = True

    def packet(self) -> bytes:
        """The packet as it stands in a datagram, with the standard checksum."""
        bare = _HEADER.pack(self.command, 0, self.session, self.reply_id) + self.data
        return _HEADER.pack(self.command, checksum(bare), self.session, self.reply_id) + self.data


def checksum(packet: bytes) -> int:
    """One's complement of the one's-complement sum of the 16-bit words; the checksum field must be zero.

    An odd tail is padded with one zero byte, which is not sent.
    """
    # As one long number: 2**16 leaves 1 modulo 65535, so that one division adds all the words and folds the carries.
    number = int.from_bytes(packet, "little")
    return 0xFFFF ^ (number % 0xFFFF or (0xFFFF if number else 0))


def with_top(packet: bytes) -> bytes:
    """The packet with the eight bytes that stand before it on TCP."""
    return _TOP.pack(MAGIC, len(packet)) + packet


def parse_packet(packet: bytes) -> Frame | None:
    """Read one packet; None when it is too short to hold a header."""
    if len(packet) < _HEADER.size:
        return None
    command, sent, session, reply_id = _HEADER.unpack_from(packet)
    found = checksum(packet[:2] + b"\0\0" + packet[4:])
    # 0x0000 and 0xffff are the same number in one's complement.
    return Frame(command, session, reply_id, packet[8:], intact=sent % 0xFFFF == found % 0xFFFF)


class StreamParser:
    """Cut a TCP stream into requests, however it was cut on its way.

    Lenient in one thing: bytes after a frame that do not start the next one belong to it, because npm zklib
    0.2.11 always declares 8 bytes whatever it sends.
    """

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived and return the requests that are complete."""
        self._buffer += data
        frames = []
        while (packet := self._next_packet()) is not None:
            frame = parse_packet(packet)
            if frame is not None:
                frames.append(frame)
        return frames

    def _next_packet(self) -> bytes | None:
        self._skip_noise()
        if len(self._buffer) < _TOP.size:
            return None
        length = _TOP.unpack_from(self._buffer)[1]
        if not _HEADER.size <= length <= MAX_FRAME:
            self._buffer = self._buffer[len(MAGIC) :]
            return self._next_packet()
        end = _TOP.size + length
        if len(self._buffer) < end:
            return None
        end += _foreign_bytes(self._buffer[end:])
        packet, self._buffer = self._buffer[_TOP.size : end], self._buffer[end:]
        return packet

    def _skip_noise(self) -> None:
        self._buffer = self._buffer[_foreign_bytes(self._buffer) :]


def _foreign_bytes(data: bytes) -> int:
    """How many bytes come before the next frame, or before what may be the start of one."""
    found = data.find(MAGIC)
    if found >= 0:
        return found
    for size in range(min(len(MAGIC) - 1, len(data)), 0, -1):
        if data.endswith(MAGIC[:size]):
            return len(data) - size
    return len(data)


def scramble_key(key: int, session: int, ticks: int) -> bytes:
    """The four bytes that AUTH carries for a communication key in a session.

    Source: pyzk 0.9 `make_commkey` (itself from zkemsdk.c), confirmed by vectors. The third byte is the ticks
    in the clear, so the low byte of the sum never reaches the wire.
    """
    reverse = int(f"{key & 0xFFFFFFFF:032b}"[::-1], 2)
    mixed = bytes(a ^ b for a, b in zip(((reverse + session) & 0xFFFFFFFF).to_bytes(4, "little"), b"ZKSO", strict=True))
    swapped = mixed[2:] + mixed[:2]
    return bytes((swapped[0] ^ ticks, swapped[1] ^ ticks, ticks, swapped[3] ^ ticks))


def encode_time(when: datetime) -> int:
    """A date and time as the terminal counts it: every month has 31 slots, years from 2000, seconds."""
    days = ((when.year % 100) * 12 + when.month - 1) * 31 + when.day - 1
    return days * 86400 + when.hour * 3600 + when.minute * 60 + when.second


def decode_time(value: int) -> datetime:
    """The reverse; ValueError where the number names no day of the calendar, as 31 February."""
    days, seconds = divmod(value, 86400)
    months, day = divmod(days, 31)
    return datetime(  # noqa: DTZ001  a terminal knows no time zone
        2000 + months // 12,
        months % 12 + 1,
        day + 1,
        seconds // 3600,
        seconds // 60 % 60,
        seconds % 60,
    )


def event_time(when: datetime) -> bytes:
    """The six bytes of a time in an event: year less 2000, month, day, hour, minute, second."""
    return bytes((when.year - 2000, when.month, when.day, when.hour, when.minute, when.second))


def buffer_checksum(data: bytes) -> int:
    """What command 119 answers of an uploaded buffer.

    Source: adrobinoga/zk-protocol pull request 9, reverse engineered; its shift is arithmetic. Not verified on
    hardware.
    """
    value = 0
    for byte in data:
        value = ((value << 4) + byte) & 0xFFFFFFFF
        top = value & 0xF0000000
        if top:
            signed = top - (1 << 32) if top & 0x80000000 else top
            value ^= (top ^ (signed >> 24)) & 0xFFFFFFFF
    return value % 0x00FEFFFF
