"""A table as it comes over the wire: the length of its records, then the records."""

from __future__ import annotations


class Unreadable(Exception):
    """What came is no table, or not all of it; it may be read again."""


def records_of(raw: bytes, count: int | None) -> bytes:
    """The records, without the length before them (zk-protocol `data.md`).

    `count` is how many the terminal counts: where that is 0, nothing at all may have come. Raises Unreadable.
    """
    if len(raw) < 4:
        if count == 0:
            return b""
        raise Unreadable(f"{len(raw)} bytes")
    total = int.from_bytes(raw[:4], "little")
    if len(raw) - 4 < total or (total == 0 and len(raw) > 4):
        raise Unreadable(f"{len(raw) - 4} bytes where {total} were announced")
    return raw[4 : 4 + total]
