"""Replace what is personal in the records of a terminal's tables; every other byte stays.

Where the size of a record does not follow from size x count = length, or a record has what no document knows in a place
that is kept, the whole table is replaced byte by byte: nothing is kept by guess.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from zkbridge.terminal.report.pseudonyms import Pseudonyms
from zkbridge.terminal.report.tables import NO_FINGER, OPERATIONS, PUNCHES, TEMPLATES, USERS, time_place, user_record

_LENGTH_BYTES = 4
_ENTRY = struct.Struct("<HHBB")
#: The mark of a template of this maker, two bytes after its start (zk-protocol `data-user.md`).
_MARK = b"SS21"
#: What follows a record of 40 bytes in one of 49 (PR 222 of fananimi/pyzk); the terminal's, nobody's data.
_TAIL_49 = b"\xff255\0\0\0\0\0"
#: The widest privilege that is known, and the highest number of a time zone or flag.
_MOST_PRIVILEGE, _MOST_ZONE = 15, 99


class Layouts:
    """Tables and single records with their persons replaced. `counts` are the terminal's own, by a table's name."""

    def __init__(self, names: Pseudonyms, counts: Mapping[str, int]) -> None:
        self._names = names
        self._counts = counts

    def table(self, name: str, raw: bytes, total: int) -> bytes:
        """What came of a table whose records have `total` bytes: its length, then records."""
        if len(raw) <= _LENGTH_BYTES:
            return raw
        head, body = raw[:_LENGTH_BYTES], raw[_LENGTH_BYTES:]
        if name == TEMPLATES.name:
            return head + self._templates(body)
        record = self._record_of(name, body, total)
        if record is None:
            return head + self._names.raw(body)
        size, replace = record
        return head + b"".join(replace(body[at : at + size]) for at in range(0, len(body), size))

    def template(self, raw: bytes) -> bytes:
        """The bytes of a template but for the maker's mark, and for what a terminal appends: zeros, or 01."""
        if raw.startswith(NO_FINGER):
            return raw
        end = len(raw.rstrip(b"\0").rstrip(b"\x01"))
        made = self._names.stream(raw[:end])
        if raw[2 : 2 + len(_MARK)] == _MARK:
            made = made[:2] + _MARK + made[2 + len(_MARK) :]
        return made + raw[end:]

    def user(self, raw: bytes) -> bytes:
        """One user record, as it is written."""
        return self._user_28(raw) if len(raw) == 28 else self._user_72(raw)

    def _record_of(self, name: str, body: bytes, total: int) -> tuple[int, Callable[[bytes], bytes]] | None:
        """The size of the records and what replaces one, where both are beyond doubt."""
        count = self._counts.get(name, 0)
        if name == USERS.name:
            return self._user_layout(body, user_record(total, count))
        size = total // count if count and total % count == 0 else 0
        layouts = {40: self._punch_40, 49: self._punch_49, 16: self._punch_16}
        if name == PUNCHES.name and size == 8:
            layout = {3: self._punch_8, 4: self._punch_8b}.get(time_place(body) or 0)
            return None if layout is None else (8, layout)
        if name == PUNCHES.name and size in layouts:
            return size, layouts[size]
        if name == OPERATIONS.name and size == 16:
            return 16, self._operation
        return None

    def _user_layout(self, body: bytes, size: int | None) -> tuple[int, Callable[[bytes], bytes]] | None:
        rows = [body[at : at + size] for at in range(0, len(body) - size + 1, size)] if size else []
        if size == 72 and all(row[2] <= _MOST_PRIVILEGE and max(row[40:48]) <= _MOST_ZONE for row in rows):
            return 72, self._user_72
        if size == 28 and all(row[2] <= _MOST_PRIVILEGE for row in rows):
            return 28, self._user_28
        return None

    # Records. One that was cut is replaced byte by byte.

    def _user_72(self, row: bytes) -> bytes:
        if len(row) < 72:
            return self._names.raw(row)
        (card,) = struct.unpack_from("<I", row, 35)
        return (
            self._uid(row[:2])
            + row[2:3]
            + self._text(row[3:11], "password")
            + self._text(row[11:35], "name")
            + struct.pack("<I", self._names.card(card))
            + row[39:48]
            + self._user_id(row[48:72])
        )

    def _user_28(self, row: bytes) -> bytes:
        if len(row) < 28:
            return self._names.raw(row)
        (card,) = struct.unpack_from("<I", row, 16)
        return (
            self._uid(row[:2])
            + row[2:3]
            + self._text(row[3:8], "password")
            + self._text(row[8:16], "name")
            + struct.pack("<I", self._names.card(card))
            + row[20:24]
            + self._user_number(row[24:28])
        )

    def _punch_40(self, row: bytes) -> bytes:
        if len(row) < 40:
            return self._names.raw(row)
        constant = row[32:40] if row[32:40] == b"\0\0\0\0\xff\0\0\0" else self._names.raw(row[32:40], "tail")
        return (
            self._uid(row[:2]) + self._user_id(row[2:26]) + row[26:27] + self._time(row[27:31]) + row[31:32] + constant
        )

    def _punch_49(self, row: bytes) -> bytes:
        if len(row) < 49:
            return self._names.raw(row)
        return self._punch_40(row[:40]) + (row[40:] if row[40:] == _TAIL_49 else self._names.raw(row[40:], "tail"))

    def _punch_16(self, row: bytes) -> bytes:
        if len(row) < 16:
            return self._names.raw(row)
        return self._user_number(row[:4]) + self._time(row[4:8]) + row[8:10] + self._names.raw(row[10:], "tail")

    def _punch_8(self, row: bytes) -> bytes:
        if len(row) < 8:
            return self._names.raw(row)
        return self._uid(row[:2]) + row[2:3] + self._time(row[3:7]) + row[7:]

    def _punch_8b(self, row: bytes) -> bytes:
        if len(row) < 8:
            return self._names.raw(row)
        return self._uid(row[:2]) + row[2:4] + self._time(row[4:8])

    def _operation(self, row: bytes) -> bytes:
        """Operation and time; its four numbers may be uids, so all are replaced as such."""
        if len(row) < 16:
            return self._names.raw(row)
        numbers = b"".join(self._uid(row[at : at + 2]) for at in range(8, 16, 2))
        return self._names.raw(row[:2]) + row[2:3] + self._names.raw(row[3:4]) + self._time(row[4:8]) + numbers

    def _templates(self, body: bytes) -> bytes:
        made = bytearray()
        while len(body) - len(made) >= _ENTRY.size:
            size, uid, finger, flag = _ENTRY.unpack_from(body, len(made))
            entry = body[len(made) : len(made) + size]
            if size < _ENTRY.size or finger > 9:
                break
            made += _ENTRY.pack(size, self._names.uid(uid), finger, flag) + self.template(entry[_ENTRY.size :])
        return bytes(made) + self._names.raw(body[len(made) :])

    # Fields

    def _uid(self, raw: bytes) -> bytes:
        return struct.pack("<H", self._names.uid(int.from_bytes(raw, "little")))

    def _time(self, raw: bytes) -> bytes:
        return struct.pack("<I", self._names.moment(int.from_bytes(raw, "little")))

    def _user_id(self, raw: bytes) -> bytes:
        """A text up to its NUL; what lies behind it may be left from somebody else."""
        text, nul, rest = raw.partition(b"\0")
        text = self._names.user_id(text.decode()).encode() if text.isascii() else self._names.text(text, "user_id")
        return text + nul + self._names.raw(rest)

    def _user_number(self, raw: bytes) -> bytes:
        return struct.pack("<I", self._names.user_number(int.from_bytes(raw, "little")))

    def _text(self, raw: bytes, kind: str) -> bytes:
        text, nul, rest = raw.partition(b"\0")
        return self._names.text(text, kind) + nul + self._names.raw(rest)
