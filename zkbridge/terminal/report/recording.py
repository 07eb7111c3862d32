"""What was asked of a terminal and what it answered, as values."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.wire import Frame

_HEADER = struct.Struct("<4H")
#: What a wrong checksum differs by in a report: the data that it was wrong for is not there any more.
_WRONG = 0x5A5A


@dataclass(frozen=True)
class Packet:
    """One packet without the TCP top. `length` counts its data, also what a report leaves out of `data`."""

    command: int
    session: int
    reply_id: int
    data: bytes = b""
    intact: bool = True
    length: int = -1

    def __post_init__(self) -> None:
        if self.length < 0:
            object.__setattr__(self, "length", len(self.data))

    @classmethod
    def read(cls, raw: bytes, length: int = -1) -> Packet:
        """The packet in these bytes, whose data had this length; a wrong checksum is noted. Needs 8 bytes."""
        command, sent, session, reply_id = _HEADER.unpack_from(raw)
        packet = cls(command, session, reply_id, raw[_HEADER.size :], length=length)
        (right,) = struct.unpack_from("<H", packet.packed(), 2)
        # 0x0000 and 0xffff are one number in one's complement.
        return replace(packet, intact=sent % 0xFFFF == right % 0xFFFF)

    def packed(self) -> bytes:
        """Header and data with the checksum for them, or with a wrong one where it was wrong."""
        raw = wire.pack(Frame(self.command, self.session, self.reply_id, self.data))
        if self.intact:
            return raw
        wrong = int.from_bytes(raw[2:4], "little") ^ _WRONG
        return raw[:2] + wrong.to_bytes(2, "little") + raw[4:]

    def with_data(self, data: bytes) -> Packet:
        """The same packet with other data of the same length."""
        return replace(self, data=data)

    def cut(self, kept: int) -> Packet:
        """The packet with no more than its first bytes of data, and its length as it was."""
        return self if kept >= len(self.data) else replace(self, data=self.data[: max(kept, 0)])


@dataclass(frozen=True)
class Exchange:
    """One request and what came until it was answered.

    `line` names the connection. `arrived` has a pair for each read of the socket: milliseconds after the request, and
    bytes. `end` says why nothing more came: "" (the answer was complete), `silence`, `closed`, `reset`, `refused`,
    `noise` (bytes that are no frame).
    """

    line: str
    step: str
    ask: Packet | None
    answers: tuple[Packet, ...] = ()
    arrived: tuple[tuple[float, int], ...] = ()
    end: str = ""

    @property
    def own(self) -> tuple[Packet, ...]:
        """The packets that answer this request: no events, and nothing late."""
        asked = -1 if self.ask is None else self.ask.reply_id
        return tuple(each for each in self.answers if each.command != Command.EVENT and each.reply_id == asked)

    @property
    def code(self) -> int | None:
        """The number that the answer begins with; None where there is none."""
        return self.own[0].command if self.own else None

    @property
    def data(self) -> bytes:
        """The data of a simple answer, or of all DATA packets of one that has several."""
        if len(self.own) == 1:
            return self.own[0].data
        return b"".join(each.data for each in self.own if each.command == Command.DATA)

    def asks(self, command: int, data: bytes | None = None) -> bool:
        """Whether this is that request."""
        return self.ask is not None and self.ask.command == command and data in (None, self.ask.data)


@dataclass(frozen=True)
class Recording:
    """All exchanges with one terminal, in their order.

    `day` is the date of the probe, as 2026-11-29. `clock_offset_s` says how far the terminal's clock was ahead of the
    machine's own, in seconds; None where it shows no date.
    """

    day: str
    exchanges: tuple[Exchange, ...]
    wrote: bool = False
    clock_offset_s: int | None = None

    def on(self, line: str) -> tuple[Exchange, ...]:
        """Those of one connection."""
        return tuple(each for each in self.exchanges if each.line == line)

    def find(self, step: str, line: str | None = None) -> Exchange | None:
        """The first exchange of a step."""
        return next((each for each in self.exchanges if each.step == step and line in (None, each.line)), None)
