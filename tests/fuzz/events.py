"""Events from a grammar: punches in every layout, right or not, and whatever else a terminal may send unasked."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.support.hostile_terminal import EVENT
from zkbridge.simulator.wire.frames import Frame, with_top

_PUNCH = 1
_TIMES = st.sampled_from(
    [bytes((26, 3, 2, 9, 0, 0)), bytes((26, 3, 2, 9, 0, 1)), bytes(6), b"\xff" * 6, bytes((26, 2, 31, 24, 60, 60))]
) | st.binary(min_size=6, max_size=6)
_PINS = st.sampled_from([b"1", b"1001", b"", b"\0x", b"\xff\xfe", "Ñ".encode(), b"a" * 24, b"\x1b[2J"])
_BYTES = st.sampled_from([0, 1, 4, 15, 16, 255])
#: The sizes of one event of text that are known; behind 32 bytes stands what nobody knows.
_SIZES = st.sampled_from([32, 36, 37, 52, 53, 100])


@dataclass(frozen=True)
class Events:
    """What a live terminal sends, as bytes of the stream; `punches` is how many punches may stand in it at most.

    Its log holds what was published so far; it counts `more` than that, None: it does not tell.
    """

    stream: bytes
    punches: int
    more: int | None = 0


@st.composite
def _punch(draw: st.DrawFn) -> tuple[bytes, int]:
    """The data of an event, and how many punches it may tell of."""
    kind = draw(st.integers(0, 4))
    status, punch, when = draw(_BYTES), draw(_BYTES), draw(_TIMES)
    if kind == 0:
        return struct.pack("<HBB", draw(st.sampled_from([0, 1, 65535])), status, punch) + when, 1
    if kind == 1:
        return struct.pack("<IBB", draw(st.sampled_from([0, 1001, 0xFFFFFFFF])), status, punch) + when, 1
    if kind == 2:
        some = draw(st.binary(max_size=200))
        return some, max(1, len(some) // 32)
    size, count = draw(_SIZES), draw(st.sampled_from([1, 1, 1, 2, 5]))
    one = (struct.pack("<24sBB", draw(_PINS), status, punch) + when).ljust(size, b"\0")
    return one * count, max(count, len(one) * count // 32)


@st.composite
def _frame(draw: st.DrawFn) -> tuple[bytes, int]:
    data, punches = draw(_punch())
    code = draw(st.sampled_from([*[_PUNCH] * 12, 0, 2, 8, 16, 128, 32768, 65535]))
    command = draw(st.sampled_from([*[EVENT] * 20, 2000, 2001, 1501, 0, 65535]))
    stream = with_top(Frame(command, code, draw(st.sampled_from([0, 0, 1, 65535])), data).packet())
    odd = draw(st.integers(0, 30))
    if odd == 0:
        stream = stream[: draw(st.integers(0, len(stream)))]
    elif odd == 1:
        stream = (
            stream[:4] + struct.pack("<I", draw(st.sampled_from([0, 7, 8, 65536, 0x7FFFFFFF, 0xFFFFFFFF]))) + stream[8:]
        )
    elif odd == 2:
        stream = draw(st.binary(max_size=40))
    return stream, punches


@st.composite
def events(draw: st.DrawFn) -> Events:
    """Some frames, each once or very often."""
    some = draw(st.lists(_frame(), min_size=1, max_size=6))
    often = draw(st.sampled_from([1, 1, 1, 1, 2, 300, 20_000]))
    more = draw(st.sampled_from([0, 0, 0, 0, None, -1, 1, 7, 600_000, 0x7FFF0000]))
    stream = b"".join(stream for stream, _ in some) * often
    return Events(stream, sum(punches for _, punches in some) * often, more)
