"""Tables of users and logs of punches from a grammar: right ones, and such as no terminal should send."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from tests.support.hostile_terminal import LOG, USERS, HostileTerminal

#: Where the sizes hold the two counts.
_COUNTED = {USERS: 4, LOG: 8}
_TEXTS = st.sampled_from(
    [b"", b"1", b"1001", b"0", b"\xff\xff", b"\0\0x", "Ñandú".encode(), b"a" * 24, b"\x1b[2J", b"\x80\x81"]
)
_TIMES = st.sampled_from([0, 1, 60, 838_000_000, 2_678_400, 0x7FFFFFFF, 0xFFFFFFFF])
_NUMBERS = st.sampled_from([0, 1, 2, 255, 256, 65534, 65535])
#: Boundaries of what a terminal may say it holds, or announce.
_LIES = st.sampled_from([0, 1, 2, 65535, 65536, 1_000_000, 0x7FFFFFFF, 0xFFFFFFFF])


@dataclass(frozen=True)
class Table:
    """What stands behind one command: `length` is announced before the records, `count` is told by the sizes."""

    command: int
    records: bytes
    length: int
    count: int | None

    def put_into(self, terminal: HostileTerminal) -> None:
        """Have the terminal show it."""
        raw = (self.length & 0xFFFFFFFF).to_bytes(4, "little") + self.records
        sizes = {} if self.count is None else {_COUNTED[self.command]: _signed(self.count)}
        terminal.show({self.command: raw}, sizes, whole_sizes=self.count is not None)


def _signed(number: int) -> int:
    return number - (1 << 32) if number > 0x7FFFFFFF else number


def _user_72(uid: int, text: bytes, number: int) -> bytes:
    return struct.pack("<HB8s24sIB8s24s", uid, number & 0xFF, text, text, number, 1, b"", text)


def _user_28(uid: int, text: bytes, number: int) -> bytes:
    return struct.pack("<HB5s8sIxBHI", uid, number & 0xFF, text, text, number, 1, 0, number)


def _punch_40(uid: int, text: bytes, time: int) -> bytes:
    return struct.pack("<H24sBIB8x", uid, text, 1, time, uid & 0xFF)


def _punch_16(uid: int, _text: bytes, time: int) -> bytes:
    return struct.pack("<IIBB6x", uid, time, 1, uid & 0xFF)


def _punch_8(uid: int, _text: bytes, time: int) -> bytes:
    return struct.pack("<HBIB", uid, 1, time, uid & 0xFF)


def _punch_49(uid: int, text: bytes, time: int) -> bytes:
    return _punch_40(uid, text, time) + bytes(9)


_LAYOUTS: dict[int, tuple[Any, ...]] = {USERS: (_user_72, _user_28), LOG: (_punch_40, _punch_16, _punch_8, _punch_49)}


@st.composite
def tables(draw: st.DrawFn, command: Literal[9, 13]) -> Table:
    """A table, its length and its count: each right or not."""
    if draw(st.integers(0, 4)) == 0:
        some = draw(st.binary(max_size=400))
    else:
        layout = draw(st.sampled_from(_LAYOUTS[command]))
        field = _NUMBERS if command == USERS else _TIMES
        some = b"".join(layout(*row) for row in draw(st.lists(st.tuples(_NUMBERS, _TEXTS, field), max_size=5)))
    records = some * draw(st.sampled_from([1, 1, 1, 2, 100, 2000, 100_000])) + draw(
        st.sampled_from([b"", b"", b"", b"\0", bytes(8)])
    )
    length = draw(st.one_of(st.just(len(records)), st.just(len(records)), st.just(len(records) + 1), _LIES))
    sizes = [size for size in (72, 28, 40, 16, 8, 49) if records and not len(records) % size] or [1]
    right = [len(records) // size for size in sizes]
    count = draw(st.one_of(st.sampled_from(right), st.sampled_from(right), st.none(), _LIES))
    return Table(command, records, length, count)
