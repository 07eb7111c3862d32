"""A table as it comes over the wire: the length of its records, then the records."""

from __future__ import annotations

from typing import TypeVar

Raw = TypeVar("Raw", bytes, memoryview)

#: Uids have 16 bits, and 0 is none.
MAX_USERS = 65_535
_LENGTH_BYTES = 4
#: The most that a terminal can hold of users: records of 72 bytes.
MAX_USERS_BYTES = _LENGTH_BYTES + MAX_USERS * 72
#: Of punches: 600,000 records of 40 bytes. Most data sheets name 100,000 to 200,000.
MAX_LOG_BYTES = _LENGTH_BYTES + 600_000 * 40
#: Of templates: 10,000 of 1.2 KB.
MAX_TEMPLATES_BYTES = _LENGTH_BYTES + 12_000_000


class Unreadable(Exception):
    """What came is no table, or not all of it; it may be read again."""


def records_of(raw: Raw, count: int | None) -> Raw:
    """The records, without the length before them (zk-protocol `data.md`); of a memoryview they are no copy.

    `count` is how many the terminal counts: where that is 0, nothing at all may have come. Raises Unreadable.
    """
    if len(raw) < _LENGTH_BYTES:
        if count == 0:
            return raw[:0]
        raise Unreadable(f"{len(raw)} bytes")
    total = int.from_bytes(raw[:_LENGTH_BYTES], "little")
    if len(raw) - _LENGTH_BYTES < total or (total == 0 and len(raw) > _LENGTH_BYTES):
        raise Unreadable(f"{len(raw) - _LENGTH_BYTES} bytes where {total} were announced")
    return raw[_LENGTH_BYTES : _LENGTH_BYTES + total]
