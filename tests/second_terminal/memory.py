"""What a terminal keeps: users, templates, logs and options, as the bytes that captures show."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.second_terminal import clock
from tests.second_terminal.access import Access

USER_72 = struct.Struct("<HB8s24sIBHHHH9s15x")  # 3.5
USER_28 = struct.Struct("<HB5s8sIxBHI")  # 3.6
PUNCH_40 = struct.Struct("<H24sBIB8s")  # 3.12
PUNCH_16 = struct.Struct("<IIBB2xI")
PUNCH_49_TAIL = bytes.fromhex("ff 32 35 35 00 00 00 00 00")
PUNCH_TAIL = bytes.fromhex("00 00 00 00 ff 00 00 00")
OPERATION = struct.Struct("<HBBIHHHH")

K40_OPTIONS = {
    "~SerialNumber": "A8N5184260172",
    "~Platform": "JZ4725_TFT",
    "MAC": "00:17:61:12:2F:8A",
    "~ZKFPVersion": "10",
    "~DeviceName": "K40/ID",
    "~ExtendFmt": "0",
    "~UserExtFmt": "1",
    "IPAddress": "192.168.1.201",
    "NetMask": "255.255.255.0",
    "GATEIPAddress": "192.168.1.1",
    "~PIN2Width": "9",
    "~OS": "1",
}


@dataclass(frozen=True)
class User:
    """One row of the table, read from its record."""

    uid: int
    privilege: int
    password: bytes
    name: bytes
    card: int
    group: int
    user_id: str


@dataclass(frozen=True)
class Template:
    """One finger of one user; flag 1 is valid, 3 duress (3.9)."""

    flag: int
    content: bytes


def text(field_: bytes) -> bytes:
    """What stands before the first NUL."""
    return field_.split(b"\0", 1)[0]


@dataclass
class Memory:
    """All tables of one terminal; `wide` records are those of 72 and 40 bytes, the others of 28 and 16.

    With a `face_block` the sizes have 23 words, without 20: both are known (3.2).
    """

    wide: bool = True
    punch_size: int = 40
    face_block: bool = True
    user_capacity: int = 5000
    finger_capacity: int = 3000
    punch_capacity: int = 100_000
    options: dict[str, str] = field(default_factory=lambda: dict(K40_OPTIONS))
    records: dict[int, bytes] = field(default_factory=dict)
    templates: dict[tuple[int, int], Template] = field(default_factory=dict)
    punches: list[bytes] = field(default_factory=list)
    operations: list[bytes] = field(default_factory=list)
    verify_modes: dict[int, int] = field(default_factory=dict)
    access: Access = field(default_factory=Access)
    clock_ahead: timedelta = timedelta(0)

    @property
    def user_size(self) -> int:
        """Bytes of one user."""
        return USER_72.size if self.wide else USER_28.size

    def now(self) -> datetime:
        """The time on the display."""
        return datetime.now() + self.clock_ahead  # noqa: DTZ005  a terminal knows no zone

    def set_clock(self, moment: datetime) -> None:
        """Set what the display shows."""
        self.clock_ahead = moment - datetime.now()  # noqa: DTZ005  a terminal knows no zone

    def read(self, record: bytes) -> User:
        """A record's fields."""
        if self.wide:
            uid, privilege, password, name, card, group, _, _, _, _, user_id = USER_72.unpack(record)
            return User(uid, privilege, text(password), text(name), card, group, text(user_id).decode("latin-1"))
        uid, privilege, password, name, card, group, _, number = USER_28.unpack(record)
        return User(uid, privilege, text(password), text(name), card, group, str(number))

    def users(self) -> list[User]:
        """The table, by uid."""
        return [self.read(self.records[uid]) for uid in sorted(self.records)]

    def find(self, user_id: str) -> User | None:
        """The first row with that user_id."""
        return next((user for user in self.users() if user.user_id == user_id), None)

    def write(self, record: bytes) -> bool:
        """Keep one record; refuse a length of other firmware (#128), and one more than fit."""
        if len(record) != self.user_size:
            return False
        (uid,) = struct.unpack_from("<H", record)
        if uid not in self.records and len(self.records) >= self.user_capacity:
            return False
        self.records[uid] = record
        return True

    def delete(self, uid: int) -> bool:
        """Remove a user with all fingers."""
        if self.records.pop(uid, None) is None:
            return False
        self.delete_fingers(uid)
        return True

    def delete_fingers(self, uid: int, finger: int | None = None) -> bool:
        """Remove one finger, or all; say whether there was any."""
        held = [key for key in self.templates if key[0] == uid and finger in (None, key[1])]
        for key in held:
            del self.templates[key]
        return bool(held)

    def note_punch(self, user: User, verify: int, state: int, moment: datetime) -> None:
        """Add one row to the attendance log."""
        when = clock.encode(moment)
        if self.punch_size == PUNCH_16.size:
            self.punches.append(PUNCH_16.pack(int(user.user_id), when, verify, state, 0))
            return
        row = PUNCH_40.pack(user.uid, user.user_id.encode(), verify, when, state, PUNCH_TAIL)
        self.punches.append(row + (PUNCH_49_TAIL if self.punch_size == 49 else b""))

    def clear(self, what: int | None) -> None:
        """CLEAR_DATA: nothing named is everything; else 1 attendance, 2 fingers, 4 operations, 5 users (3.7)."""
        if what in (None, 1):
            self.punches.clear()
        if what in (None, 2, 5):
            self.templates.clear()
        if what in (None, 4):
            self.operations.clear()
        if what in (None, 5):
            self.records.clear()

    def sizes(self) -> bytes:
        """GET_FREE_SIZES (3.2)."""
        users = self.users()
        words = [0] * 23
        words[4], words[6], words[8], words[10] = (
            len(table) for table in (self.records, self.templates, self.punches, self.operations)
        )
        words[12] = sum(user.privilege >= 2 for user in users)
        words[13] = sum(bool(user.password) for user in users)
        words[14:17] = self.finger_capacity, self.user_capacity, self.punch_capacity
        words[17] = self.finger_capacity - words[6]
        words[18] = self.user_capacity - words[4]
        words[19] = self.punch_capacity - words[8]
        return struct.pack("<23i", *words)[: 92 if self.face_block else 80]

    def table(self, rows: Iterable[bytes]) -> bytes:
        """A data set: the bytes of its rows, then the rows (3.8)."""
        content = b"".join(rows)
        return struct.pack("<I", len(content)) + content

    def data_set(self, inner: int, fct: int) -> bytes | None:
        """What a 1503 asks for (3.8); None for what no document describes."""
        if (inner, fct) == (9, 5):
            return self.table(self.records[uid] for uid in sorted(self.records))
        if (inner, fct) == (7, 2):
            return self.table(
                struct.pack("<HHBB", len(held.content) + 6, uid, finger, held.flag) + held.content
                for (uid, finger), held in sorted(self.templates.items())
            )
        if inner == 13:
            return self.table(self.punches)
        if inner == 34:
            return self.table(self.operations)
        return None
