"""MQTT packets as bytes: their types, their lengths, one at a time from a socket.

Source: MQTT 5.0 (OASIS), sections 1.5.5 (a length of one to four bytes) and 2.1 (a packet's head).
"""

from __future__ import annotations

import socket

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14


def receive(sock: socket.socket) -> tuple[int, bytes]:
    """One packet: its first byte, and what follows its length. Raises EOFError."""
    (head,) = _exactly(sock, 1)
    size = bytearray()
    while not size or size[-1] & 0x80:
        size += _exactly(sock, 1)
    return head, _exactly(sock, read_size(bytes(size))[0])


def packet(head: int, body: bytes) -> bytes:
    """The bytes of a packet with this first byte."""
    return bytes((head,)) + size_bytes(len(body)) + body


def size_bytes(size: int) -> bytes:
    """A length in front of what it counts: seven bits a byte, the lowest first."""
    digits = bytearray()
    while True:
        size, digit = size >> 7, size & 0x7F
        digits.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(digits)


def read_size(data: bytes) -> tuple[int, int]:
    """The length at the beginning of *data*, and how many bytes it takes itself. Raises IndexError."""
    size = used = 0
    while True:
        digit = data[used]
        size |= (digit & 0x7F) << 7 * used
        used += 1
        if not digit & 0x80:
            return size, used


def read_filters(data: bytes, *, options: int = 1) -> list[str]:
    """The topic filters that *data* consists of, with so many bytes of options behind each: UNSUBSCRIBE has none."""
    filters = []
    while data:
        end = 2 + int.from_bytes(data[:2])
        filters.append(data[2:end].decode())
        data = data[end + options :]
    return filters


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
