"""One client's conversation: its number, its buffers and how data sets are delivered to it."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.second_terminal.frames import Packet

ACK_OK, ACK_ERROR, ACK_UNAUTHORISED, ACK_UNKNOWN = 2000, 2001, 2005, 65535
EVENT, PREPARE_DATA, DATA = 500, 1500, 1501

SEGMENT_GAP_S = 0.005
SMALL = 1024  # "approx. less than 1 KB" is sent at once (3.8)
DIRECT_FRAME = 1008  # of direct reads and of command 88 on TCP (section 7, C1 and C3)
DATAGRAM = 1024  # section 7, C1
BUFFER_WORD = bytes.fromhex("cd ef 23 00")  # as a Z40 answered; its meaning is unknown


@dataclass
class Session:
    """What a terminal remembers of one connection."""

    number: int
    send: Callable[[Packet], None]
    close: Callable[[], None]
    udp: bool
    frame: int
    size_in_closing_ack: bool
    authorised: bool = False
    events: int = 0
    reading: bytes = b""
    upload: bytearray = field(default_factory=bytearray)

    def pause(self) -> None:
        """Let what was sent leave as a segment of its own, as clients rely on (0, rule 8)."""
        if not self.udp:
            time.sleep(SEGMENT_GAP_S)

    def answer(self, request: Packet, code: int, data: bytes = b"", field_: int | None = None) -> None:
        """Send one answer; its reply id is the request's (1.4)."""
        self.send(Packet(code, self.number if field_ is None else field_, request.reply_id, data))

    def offer(self, request: Packet, content: bytes) -> None:
        """Answer 1503: a small set at once, of a large one the size (3.8)."""
        if len(content) <= (SMALL - 8 if self.udp else SMALL):
            self.answer(request, DATA, content)
            return
        self.reading = content
        size = struct.pack("<I", len(content))
        self.answer(request, ACK_OK, b"\0" + size + size + BUFFER_WORD)

    def piece(self, request: Packet) -> None:
        """Answer 1504 with the asked part of the buffer."""
        if len(request.data) < 8:
            self.answer(request, ACK_ERROR)
            return
        start, size = struct.unpack_from("<ii", request.data)
        if start < 0 or size <= 0 or start + size > len(self.reading):
            self.answer(request, ACK_ERROR)
            return
        self.deliver(request, self.reading[start : start + size], DATAGRAM if self.udp else self.frame)

    def direct(self, request: Packet, content: bytes) -> None:
        """Answer a direct read, or a read of one template (3.8, 3.9)."""
        self.deliver(request, content, DATAGRAM if self.udp else DIRECT_FRAME)

    def deliver(self, request: Packet, content: bytes, frame: int) -> None:
        """PREPARE_DATA with size and frame, DATA frames that carry their index, the closing ACK (section 7, C2, C3)."""
        self.answer(request, PREPARE_DATA, struct.pack("<II", len(content), frame))
        self.pause()
        index = 0
        for index, start in enumerate(range(0, len(content), frame)):
            self.answer(request, DATA, content[start : start + frame], field_=index)
        last = len(content) & 0xFFFF if self.size_in_closing_ack else index
        self.answer(request, ACK_OK, field_=last)
