"""Packets of port 4370 as captures show them (facts: 1.1 to 1.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = bytes.fromhex("5050827d")


def checksum(packet: bytes) -> int:
    """The one's complement of the folded sum of all words, an odd tail padded with zero (1.3)."""
    padded = packet + b"\0" * (len(packet) % 2)
    total: int = sum(struct.unpack(f"<{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@dataclass(frozen=True)
class Packet:
    """One packet without the TCP top: a request, an answer or an event."""

    code: int
    field: int
    reply_id: int
    data: bytes = b""

    def __bytes__(self) -> bytes:
        blank = struct.pack("<HHHH", self.code, 0, self.field, self.reply_id) + self.data
        return blank[:2] + struct.pack("<H", checksum(blank)) + blank[4:]

    def framed(self) -> bytes:
        """The packet behind its TCP top (1.1)."""
        packet = bytes(self)
        return MAGIC + struct.pack("<I", len(packet)) + packet


def parse(packet: bytes) -> Packet:
    """Read the header; a wrong checksum is let pass, as no evidence says otherwise (1.3)."""
    code, _, field, reply_id = struct.unpack_from("<HHHH", packet)
    return Packet(code, field, reply_id, packet[8:])


def take_packets(stream: bytearray) -> list[Packet]:
    """Remove all complete packets from a TCP stream.

    npm's zklib declares a length of 8 whatever follows (facts: 0, rule 2).
    So bytes that follow a frame and do not begin a new one belong to it.
    """
    packets = []
    while len(stream) >= 8:
        if stream[:4] != MAGIC:
            raise ConnectionError(f"no packet begins with {stream[:4].hex(' ')}")
        (length,) = struct.unpack_from("<I", stream, 4)
        end = 8 + length
        if len(stream) < end:
            break
        if len(stream) > end and not MAGIC.startswith(bytes(stream[end : end + 4])):
            following = stream.find(MAGIC, end)
            end = len(stream) if following < 0 else following
        packets.append(parse(bytes(stream[8:end])))
        del stream[:end]
    return packets


def scrambled_key(key: int, session: int, ticks: int) -> bytes:
    """What AUTH carries for a communication key (2.2)."""
    turned = int(f"{key:032b}"[::-1], 2) + session & 0xFFFFFFFF
    _, second, third, fourth = (byte ^ mask for byte, mask in zip(struct.pack("<I", turned), b"ZKSO", strict=True))
    return bytes((third ^ ticks, fourth ^ ticks, ticks, second ^ ticks))
