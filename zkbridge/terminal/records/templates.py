"""Fingerprint templates in bytes.

Source: adrobinoga/zk-protocol `data-user.md`, pyzk 0.9.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from zkbridge.terminal.protocol.tables import Unreadable

#: Size of the whole entry, uid, finger, flag; the template follows.
_ENTRY = struct.Struct("<HHBB")
#: Lengths of the user part, the table and the templates; and an entry of that table: mark, uid, finger, place.
_UPLOAD_HEAD = struct.Struct("<III")
_UPLOAD_ENTRY = struct.Struct("<BHBI")
_UPLOAD_MARK, _UPLOAD_FINGER = 2, 0x10
_MARK_BYTES = 16


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

    def mark(self, salt: bytes) -> str:
        """What tells this template from another without giving it away; `salt` is used for nothing else.

        Some commands read a template with zero bytes or one byte 01 after it, which do not count.
        """
        return mark(self.template, salt)


def mark(template: bytes, salt: bytes) -> str:
    """The mark of a template, as `Finger.mark`."""
    return hashlib.blake2b(template.rstrip(b"\0\1"), key=salt, digest_size=_MARK_BYTES).hexdigest()


def upload_of(finger: Finger, user_record: bytes) -> bytes:
    """The buffer of pyzk's way to write a finger, which is written together with its user. Source: pyzk 0.9."""
    person = bytes((_UPLOAD_MARK,)) + user_record
    entry = _UPLOAD_ENTRY.pack(_UPLOAD_MARK, finger.uid, _UPLOAD_FINGER + finger.index, 0)
    template = len(finger.template).to_bytes(2, "little") + finger.template
    return _UPLOAD_HEAD.pack(len(person), len(entry), len(template)) + person + entry + template


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
