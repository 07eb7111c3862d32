"""Punches in bytes: the records of the attendance log, and the events that tell of one as it happens.

Sources: adrobinoga/zk-protocol `data-record.md` and `realtime.md`, pyzk 0.9 and master, fananimi/pyzk#166, #174, #236
(49 bytes), #56, #92 (the second layout of 8 bytes).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from zkbridge.terminal.protocol.wire import decode_time, moment


class Punch(NamedTuple):
    """Somebody was at a terminal. `user_id` is None where the record has a uid only; the clock has no time zone.

    `status` is how the person was recognised (0 password, 1 finger, 2 card, 15 face), `punch` what for (0 in, 1 out,
    2 and 3 break, 4 and 5 overtime, 255 nothing): pyzk's names. `timestamp` is None where the record holds no date.
    """

    uid: int | None
    user_id: str | None
    timestamp: datetime | None
    status: int
    punch: int


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


#: Every layout with its size; where two have one size, the records themselves must tell.
_LAYOUTS: tuple[tuple[int, Callable[[bytes], Punch]], ...] = (
    (40, _read_40),
    (49, _read_40),  # the same, and nine bytes whose meaning nobody knows
    (16, _read_16),
    (8, _read_8),
    (8, _read_8b),
)
#: What most punches are; a record read in the wrong layout has part of its time there.
_USUAL_PUNCHES = {0, 1, 2, 3, 4, 5, 255}
#: Terminals count years to 2133, but none is that late.
_LAST_YEAR = 2099
#: Work codes have at most eight digits.
_MAX_WORK_CODE = 99_999_999
#: So many records are looked at to find the layout.
_SAMPLE = 200


def parse_log(records: bytes, count: int | None) -> list[Punch] | None:
    """The punches of an attendance log, oldest first; None where the records have no layout that we know.

    `count` is how many the terminal counts, which may have changed since the log was read.
    """
    if not records:
        return []
    votes = {
        (size, read): 2 * _plausible(records, size, read) + (count is not None and count * size == len(records))
        for size, read in _LAYOUTS
        if not len(records) % size
    }
    if not votes or not max(votes.values()):
        return None
    size, read = max(votes, key=lambda layout: votes[layout])
    return [read(record) for (record,) in struct.iter_unpack(f"{size}s", records)]


def _plausible(records: bytes, size: int, read: Callable[[bytes], Punch]) -> float:
    """The share of records, from 0 to 1, that make sense in this layout."""
    sample = [record for (record,) in struct.iter_unpack(f"{size}s", records[: _SAMPLE * size])]
    return sum(_makes_sense(read(record)) and _is_clean(record) for record in sample) / len(sample)


def _is_clean(record: bytes) -> bool:
    """Whether a record of 16 bytes is one: two of 8 have something where it keeps nothing and its work code."""
    return len(record) != 16 or (record[10:12] == b"\0\0" and int.from_bytes(record[12:], "little") <= _MAX_WORK_CODE)


def _makes_sense(punch: Punch) -> bool:
    if punch.timestamp is None or punch.timestamp.year > _LAST_YEAR or punch.punch not in _USUAL_PUNCHES:
        return False
    return bool(punch.uid) if punch.user_id is None else punch.user_id.isprintable() and punch.user_id != ""


def parse_event(data: bytes) -> list[Punch]:
    """The punches that an event tells of: one, several that a terminal put together, or none that can be read."""
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


def in_order(punches: list[Punch]) -> bool:
    """Whether the times only rise: then no part of the log has changed places with another."""
    times = [punch.timestamp for punch in punches if punch.timestamp is not None]
    return len(times) == len(punches) and all(time <= later for time, later in itertools.pairwise(times))
