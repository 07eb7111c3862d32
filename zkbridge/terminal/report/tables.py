"""The tables that a report reads, and what of them it has to understand to ask on."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from zkbridge.terminal.protocol.codes import Command

#: The template that a trial writes, of no finger: the maker's mark, and nothing that a sensor could find.
NO_FINGER = b"\x4d\xfd\x53\x53\x32\x31" + bytes(range(1, 251)) * 2
#: What a table begins with: the bytes of its records.
LENGTH_BYTES = 4
#: Where the state of an 8-byte punch stands, by the place of its time, and the states that most terminals have.
_STATE_AT = {3: 7, 4: 3}
_USUAL_STATES = {0, 1, 2, 3, 4, 5, 255}
#: The least that an entry of the table of templates says of its own size: that of its head.
_ENTRY_HEAD = 6


class Table(NamedTuple):
    """One table: its name, the command and number that name it to 1503, and the word of the sizes that counts it."""

    name: str
    command: int
    fct: int
    counted_by: int

    @property
    def request(self) -> bytes:
        """What 1503 carries to ask for it."""
        return struct.pack("<bHii", 1, self.command, self.fct, 0)


USERS = Table("users", Command.USERTEMP_RRQ, 5, 4)
TEMPLATES = Table("templates", Command.DB_RRQ, 2, 6)
PUNCHES = Table("punches", Command.ATTLOG_RRQ, 0, 8)
OPERATIONS = Table("operations", 34, 0, 10)
#: The request for the templates by the command for users and the number for templates; whether any terminal takes it
#: is one of the questions.
TEMPLATES_BY_NINE = TEMPLATES._replace(command=Command.USERTEMP_RRQ).request
TABLES = (USERS, TEMPLATES, PUNCHES, OPERATIONS)


class UserKey(NamedTuple):
    """By what a user is found: the terminal's number, and the person's."""

    uid: int
    user_id: str


def announced(table: bytes) -> int | None:
    """The bytes of records that a table announces; None where it is too short to."""
    return int.from_bytes(table[:LENGTH_BYTES], "little") if len(table) >= LENGTH_BYTES else None


def count_in(sizes: bytes, table: Table) -> int | None:
    """How many records the terminal counts in a table; None where its sizes do not reach so far."""
    at = 4 * table.counted_by
    return int.from_bytes(sizes[at : at + 4], "little") if len(sizes) >= at + 4 else None


def user_record(total: int, count: int | None) -> int | None:
    """The size of a user record, decided by size x count = length alone; None where that decides nothing."""
    return next((size for size in (72, 28) if count and size * count == total), None)


def whole_records(table: Table, read: bytes, sizes: bytes) -> int:
    """How many bytes of a table to keep so that its last record is whole; all where its records are not known."""
    total, count = announced(read) or 0, count_in(sizes, table)
    if LENGTH_BYTES + total <= len(read) or len(read) <= LENGTH_BYTES:
        return len(read)
    if table is TEMPLATES:
        return LENGTH_BYTES + sum(size for size, _uid, _finger in _entries(read))
    record = total // count if count and total % count == 0 else 1
    return LENGTH_BYTES + (len(read) - LENGTH_BYTES) // record * record


def user_keys(table: bytes, record: int) -> Iterator[UserKey]:
    """The keys of all users of a table that came whole."""
    for at in range(LENGTH_BYTES, len(table) - record + 1, record):
        raw = table[at : at + record]
        if record == 72:
            user_id = raw[48:72].split(b"\0", 1)[0].decode("utf-8", "replace")
        else:
            user_id = str(int.from_bytes(raw[24:28], "little"))
        yield UserKey(int.from_bytes(raw[:2], "little"), user_id)


def finger_keys(table: bytes) -> list[tuple[int, int]]:
    """Uid and finger of the templates that came whole."""
    return [(uid, finger) for _size, uid, finger in _entries(table)]


def template_sizes(table: bytes) -> list[int]:
    """The bytes of the templates that came whole."""
    return [size - _ENTRY_HEAD for size, _uid, _finger in _entries(table)]


def _entries(table: bytes) -> Iterator[tuple[int, int, int]]:
    """Size, uid and finger of the templates that came whole."""
    at = LENGTH_BYTES
    while at + _ENTRY_HEAD <= len(table):
        size, uid, finger = struct.unpack_from("<HHB", table, at)
        at += size
        if size < _ENTRY_HEAD or at > len(table):
            return
        yield size, uid, finger


def time_place(body: bytes) -> int | None:
    """Where the time of an 8-byte punch stands, at byte 3 or 4; None where both or neither can be.

    The high byte of a time from 2006 to 2042 is 0x0b to 0x3f; in the other layout that place has a state, or a byte
    that changes every few minutes. Where it fits in both, one of them has usual states alone.
    """
    rows = [body[at : at + 8] for at in range(0, len(body) - 7, 8)]
    rows = [row for row in rows if any(row)]
    fits = [at for at in (3, 4) if rows and all(0x0B <= row[at + 3] <= 0x3F for row in rows)]
    if len(fits) > 1:
        fits = [at for at in fits if all(row[_STATE_AT[at]] in _USUAL_STATES for row in rows)]
    return fits[0] if len(fits) == 1 else None
