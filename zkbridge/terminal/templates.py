"""Fingerprint templates in bytes.

Source: adrobinoga/zk-protocol `data-user.md`, pyzk 0.9.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from zkbridge.terminal.tables import Unreadable

#: Size of the whole entry, uid, finger, flag; the template follows.
_ENTRY = struct.Struct("<HHBB")


@dataclass(frozen=True)
class Finger:
    """One finger that a terminal knows: `index` 0 to 9, `flag` 0 invalid, 1 valid, 3 under duress."""

    uid: int
    index: int
    flag: int
    template: bytes = field(repr=False)

    @property
    def valid(self) -> bool:
        """Whether the finger opens."""
        return self.flag != 0


def parse_templates(records: bytes) -> list[Finger]:
    """The fingers in a table of templates. Raises Unreadable where an entry does not fit."""
    return list(_entries(records))


def _entries(records: bytes) -> Iterator[Finger]:
    at = 0
    while at < len(records):
        if len(records) - at < _ENTRY.size:
            raise Unreadable(f"{len(records) - at} bytes are left over")
        size, uid, index, flag = _ENTRY.unpack_from(records, at)
        if not _ENTRY.size <= size <= len(records) - at:
            raise Unreadable(f"an entry of {size} bytes")
        yield Finger(uid, index, flag, records[at + _ENTRY.size : at + size])
        at += size
