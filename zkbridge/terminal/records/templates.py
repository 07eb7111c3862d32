"""Fingerprint templates in bytes.

Source: adrobinoga/zk-protocol `data-user.md`, pyzk 0.9.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from zkbridge.port.fingers import Finger
from zkbridge.terminal.protocol.tables import Unreadable

#: Size of the whole entry, uid, finger, flag; the template follows.
_ENTRY = struct.Struct("<HHBB")
#: Lengths of the user part, the table and the templates; and an entry of that table: mark, uid, finger, place.
_UPLOAD_HEAD = struct.Struct("<III")
_UPLOAD_ENTRY = struct.Struct("<BHBI")
_UPLOAD_MARK, _UPLOAD_FINGER = 2, 0x10


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
