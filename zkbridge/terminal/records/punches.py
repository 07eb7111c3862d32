"""Punches in bytes: the records of the attendance log, and the events of punches as they happen.

Sources: adrobinoga/zk-protocol `data-record.md` and `realtime.md`, pyzk 0.9 and master, fananimi/pyzk#166, #174, #236
(49 bytes), #56, #92 (the second layout of 8 bytes).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence
from datetime import datetime

from zkbridge.port.punches import Punch
from zkbridge.terminal.protocol.wire import decode_time, moment
from zkbridge.terminal.records.decoded import Decoded


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", errors="replace")


def _read_40(record: bytes) -> Punch:
    uid, pin, status, when, punch = struct.unpack_from("<H24sBIB", record)
    return Punch(uid, _text(pin), decode_time(when), status, punch)


def _read_16(record: bytes) -> Punch:
    pin, when, status, punch = struct.unpack_from("<IIBB", record)
    return Punch(None, str(pin), decode_time(when), status, punch)


def _read_8(record: bytes) -> Punch:
    uid, status, when, punch = struct.unpack("<HBIB", record)
    return Punch(uid, None, decode_time(when), status, punch)


def _read_8b(record: bytes) -> Punch:
    uid, status, punch, when = struct.unpack("<HBBI", record)
    return Punch(uid, None, decode_time(when), status, punch)


Records = bytes | memoryview
Read = Callable[[bytes], Punch]

#: Every size that a record has, with the layouts of that size; where there are two, the records decide.
_LAYOUTS: dict[int, tuple[Read, ...]] = {
    40: (_read_40,),
    49: (_read_40,),  # the same, and nine bytes of unknown meaning
    16: (_read_16,),
    8: (_read_8, _read_8b),
}
#: What most punches are, and when: what decides between two layouts of one size, and nothing else. Terminals whose
#: keys can be given any value record states from 0 to 250 (the manual of the P160).
_USUAL_PUNCHES = {0, 1, 2, 3, 4, 5, 255}
#: Terminals count years from 2000, where a clock begins that was never set, to 2133.
_USUAL_YEARS = range(2005, 2045)
#: Work codes have at most eight digits.
_MAX_WORK_CODE = 99_999_999
#: So many records, spread over the log, are looked at.
_SAMPLE = 200
#: From so many records on it says something how many different states they have.
_SEVERAL = 8
#: The share of records that make sense in a size above which it may be the right one, and the share from which on
#: another size speaks against the one that the count gives. Measured: a right size has 1.0, a wrong one half.
_MOST, _NEARLY_ALL = 0.7, 0.9


def parse_log(records: Records, counts: range | None) -> Sequence[Punch] | None:
    """The punches of an attendance log, oldest first; None where the records cannot be separated for certain.

    `counts` are the numbers of punches that the terminal may have held while it was read, None where it does not
    count. Size x count = length decides the size of a record. Content decides between layouts of one size, and where
    there is no count; it can speak against a size that the count says, as when a part of the log only was shown.
    """
    if not records:
        return [] if counts is None or 0 in counts else None
    possible = [size for size in _LAYOUTS if not len(records) % size]
    if counts is not None:
        possible = [size for size in possible if len(records) // size in counts]
    size = possible[0] if counts is not None and len(possible) == 1 else _size_by_content(records, possible)
    if size is None or (counts is not None and _looks_like_another(records, size)):
        return None
    read = _layout_of(records, size)
    return None if read is None else Decoded(records, size, read)


def is_record_size(size: int) -> bool:
    """Whether a record of an attendance log may have so many bytes."""
    return size in _LAYOUTS


def _size_by_content(records: Records, possible: list[int]) -> int | None:
    """The one size in which most records make sense, and more than in every other."""
    shares = {size: _sense(records, size) for size in possible}
    best = max(shares.values(), default=0.0)
    sizes = [size for size, share in shares.items() if share == best and share > _MOST]
    return sizes[0] if len(sizes) == 1 else None


def _looks_like_another(records: Records, size: int) -> bool:
    """Whether the records make little sense in this size, and nearly all of them do in another."""
    if _sense(records, size) > _MOST:
        return False
    others = [other for other in _LAYOUTS if other != size and not len(records) % other]
    return any(_sense(records, other) >= _NEARLY_ALL for other in others)


def _sense(records: Records, size: int) -> float:
    """The share of records, from 0 to 1, that make sense in the better layout of this size; empty ones do not count."""
    sample = [record for record in _sample(records, size) if any(record)]
    if not sample:
        return 0.0
    return max(sum(_makes_sense(read(record), record) for record in sample) for read in _LAYOUTS[size]) / len(sample)


def _layout_of(records: Records, size: int) -> Read | None:
    """The layout of these records among those of their size; None where two read them as well, and differently."""
    layouts = _LAYOUTS[size]
    if len(layouts) == 1:
        return layouts[0]
    sample = _sample(records, size)
    read_as = [[read(record) for record in sample] for read in layouts]
    scores = [_likeliness(punches) for punches in read_as]
    if scores.count(max(scores)) > 1 and read_as[0] != read_as[1]:
        return None
    return layouts[scores.index(max(scores))]


def _likeliness(punches: list[Punch]) -> int:
    """How likely it is that a layout is the right one that reads records as these punches.

    In a wrong layout a time has part of a state and a state part of a time: dates are none or far away, do not rise,
    and the states are as many as the seconds.
    """
    dates = [punch.timestamp for punch in punches]
    usual = sum(date is not None and date.year in _USUAL_YEARS for date in dates)
    usual += sum(date is not None for date in dates) + sum(punch.punch in _USUAL_PUNCHES for punch in punches)
    rising = sum(a is not None and b is not None and a <= b for a, b in itertools.pairwise(dates))
    few = len(punches) - len({punch.punch for punch in punches}) if len(punches) >= _SEVERAL else 0
    return usual + rising + few


def _makes_sense(punch: Punch, record: bytes) -> bool:
    if punch.timestamp is None or punch.timestamp.year not in _USUAL_YEARS or not _is_clean(record):
        return False
    if punch.user_id is None:
        return bool(punch.uid)
    return punch.user_id.isprintable() and punch.user_id not in ("", "0")


def _is_clean(record: bytes) -> bool:
    """Whether a record of 16 bytes is one: two of 8 have something where it keeps nothing and its work code."""
    return len(record) != 16 or (record[10:12] == b"\0\0" and int.from_bytes(record[12:], "little") <= _MAX_WORK_CODE)


def _sample(records: Records, size: int) -> list[bytes]:
    """Records from the whole log; the step is no multiple of 2 or 5, as sizes in bytes of other layouts are."""
    step = max(1, -(-len(records) // size // _SAMPLE))
    while step > 1 and not (step % 2 and step % 5):
        step += 1
    return [bytes(records[start : start + size]) for start in range(0, len(records), step * size)]


def parse_event(data: bytes) -> list[Punch]:
    """The punches of an event: one, several that a terminal put together, or none that can be read."""
    size = len(data)
    if size in (10, 14):
        uid, status, punch = struct.unpack_from("<HBB", data)
        # The manual of 2006 keeps a mark of validity in the upper half of this byte; 255 means nothing at all.
        return [Punch(uid, None, _time(data[4:10]), status, punch if punch == 0xFF else punch & 0x0F)]
    if size == 12:
        pin, status, punch = struct.unpack_from("<IBB", data)
        return [Punch(None, str(pin), _time(data[6:12]), status, punch)]
    step = next((step for step in (32, 36, 37, 52) if size % step == 0), None)
    if step is None and size > 52:
        step = size  # a longer form of one event, as 36, 37 and 52 are of 32
    if not size or step is None:
        return []
    return [_read_event(data[at : at + step]) for at in range(0, size, step)]


def _read_event(data: bytes) -> Punch:
    pin, status, punch = struct.unpack_from("<24sBB", data)
    return Punch(None, _text(pin), _time(data[26:32]), status, punch)


def _time(data: bytes) -> datetime | None:
    """Six bytes: year less 2000, month, day, hour, minute, second."""
    year, month, day, hour, minute, second = data
    return moment((2000 + year, month, day, hour, minute, second))


def in_order(punches: Sequence[Punch]) -> bool:
    """Whether the times only rise: then no part of the log has changed places with another."""
    latest = datetime.min  # noqa: DTZ901 - a terminal's wall clock has no zone
    for punch in punches:
        if punch.timestamp is None or punch.timestamp < latest:
            return False
        latest = punch.timestamp
    return True
