"""User records in bytes: what fits into one, and a terminal's whole table of them.

Sources: adrobinoga/zk-protocol `data-user.md` (72 bytes), the ZKSoftware manual of 2006 and pyzk 0.9 (28 bytes).
"""

from __future__ import annotations

import itertools
import struct
import sys
from array import array
from collections.abc import Iterator
from typing import Literal, NamedTuple

from zkbridge.contract.characters import for_encoding
from zkbridge.contract.errors import DeviceFull, FieldFault, InvalidField
from zkbridge.contract.texts import shown
from zkbridge.terminal.records.index import Index, weakly

RecordSize = Literal[72, 28]
NameOverflow = Literal["refuse", "truncate"]

SIZES: tuple[RecordSize, ...] = (72, 28)
MAX_UID = 65535
MAX_NUMBER_ID = 0xFFFFFFFF
#: Bytes of the field in a 72-byte record; the documented 9 are followed by zeros that newer terminals use.
WIDEST_USER_ID = 24
#: The name field is documented as NUL-terminated: some terminals keep this many of its 24 bytes.
_NAME_BYTES_BEFORE_NUL = 23
#: Records whose texts are looked at, spread over the table: enough for a majority, and no dearer in a large table.
_SAMPLE = 256
#: Where a 72-byte record has its user_id.
_PIN_AT = 48
#: Permissions use the low four bits: disabled, and three for the role.
_MAX_PRIVILEGE = 15


class UserFields(NamedTuple):
    """A user as somebody wants it; nothing here says whether it fits a terminal."""

    user_id: str
    name: str
    password: str = ""
    privilege: int = 0
    card: int = 0

    def __repr__(self) -> str:
        return f"<UserFields of {self.user_id!r}>"  # the rest is secret, or somebody's name


class User(NamedTuple):
    """A user as a terminal holds it; `raw` is the record, byte for byte."""

    uid: int
    user_id: str
    name: str
    password: str
    privilege: int
    card: int
    group: int
    raw: bytes

    def __repr__(self) -> str:
        return f"<User {self.uid}: {self.user_id!r}>"  # as above


class _Layout(NamedTuple):
    """Where a record has what. `fields` reads uid, privilege, password, name, card, group, time zones, user id.

    `pins` reads user ids alone.
    """

    fields: struct.Struct
    pins: struct.Struct
    name_bytes: int
    password_bytes: int
    name: slice
    password: slice


_LAYOUTS: dict[int, _Layout] = {
    72: _Layout(struct.Struct("<HB8s24sIB8s24s"), struct.Struct("<48x24s"), 24, 8, slice(11, 35), slice(3, 11)),
    28: _Layout(struct.Struct("<HB5s8sIxBHI"), struct.Struct("<24xI"), 8, 5, slice(8, 16), slice(3, 8)),
}


def surely_unfit(fields: UserFields, *, encoding: str, name_overflow: NameOverflow) -> tuple[FieldFault, ...]:
    """What fits no terminal with this encoding, whichever record size it turns out to have."""
    _, faults = _measure(fields, 72, encoding=encoding, width=WIDEST_USER_ID, name_overflow=name_overflow)
    return tuple(faults)


def fit(
    fields: UserFields, *, record_size: RecordSize, encoding: str, user_id_width: int, name_overflow: NameOverflow
) -> UserFields:
    """The user as a terminal with such records will hold it: the name may come back cut at a character.

    `user_id_width` is in bytes and counts for 72-byte records. Raises InvalidField with every fault.
    """
    fitted, faults = _measure(fields, record_size, encoding=encoding, width=user_id_width, name_overflow=name_overflow)
    if faults:
        raise InvalidField(*faults)
    return fitted


def encode(fields: UserFields, *, uid: int, group: int, record_size: RecordSize, encoding: str) -> bytes:
    """A new user's record, of fields that `fit` has returned. The user has the time zones of the group."""
    password, name = fields.password.encode(encoding), fields.name.encode(encoding)
    if record_size == 72:
        pin = fields.user_id.encode(encoding)
        return _LAYOUTS[72].fields.pack(uid, fields.privilege, password, name, fields.card, group, b"", pin)
    return _LAYOUTS[28].fields.pack(uid, fields.privilege, password, name, fields.card, group, 0, int(fields.user_id))


def rewrite(user: User, fields: UserFields, *, encoding: str) -> bytes:
    """The user's record with what differs in `fields` put in; every other bit stays, garbage after a NUL included.

    `fields` must have come from `fit`; the user_id stays.
    """
    layout = _LAYOUTS[len(user.raw)]
    raw = bytearray(user.raw)
    if fields.name != user.name:
        raw[layout.name] = fields.name.encode(encoding).ljust(layout.name_bytes, b"\0")
    if fields.password != user.password:
        raw[layout.password] = fields.password.encode(encoding).ljust(layout.password_bytes, b"\0")
    raw[2] = fields.privilege
    card_at = layout.name.stop
    raw[card_at : card_at + 4] = fields.card.to_bytes(4, "little")
    return bytes(raw)


def decode(raw: bytes, *, encoding: str) -> User:
    """The user in a record of 72 or 28 bytes: each text ends at its first NUL."""
    uid, privilege, password, name, card, group, _zones, pin = _LAYOUTS[len(raw)].fields.unpack(raw)
    return User(
        uid=uid,
        user_id=_text(pin, encoding) if isinstance(pin, bytes) else str(pin),
        name=_text(name, encoding),
        password=_text(password, encoding),
        privilege=privilege,
        card=card,
        group=group,
        raw=raw,
    )


def same(user: User, fields: UserFields, *, group: int, encoding: str) -> bool:
    """Whether a terminal that was sent these fields (as `fit` returned them) would hold just this user."""
    size = next(size for size in SIZES if size == len(user.raw))
    return holds(user, encode(fields, uid=user.uid, group=group, record_size=size, encoding=encoding))


def holds(user: User, written: bytes) -> bool:
    """Whether a terminal that was sent this record would hold just this user.

    Texts are compared as bytes: two that differ may be read as the same, and one that is the same as another. What
    follows a NUL, and the time zones, which a terminal sets, do not count.
    """
    return _is_kept(_held(user.raw), _held(written))


def is_cut_off(user: User, written: bytes) -> bool:
    """Whether a terminal that was sent this record has kept it, but only the first bytes of its user_id."""
    held, meant = _held(user.raw), _held(written)
    if (
        not isinstance(held.pin, bytes)
        or not isinstance(meant.pin, bytes)
        or user.uid != int.from_bytes(written[:2], "little")
    ):
        return False
    is_part = 0 < len(held.pin) < len(meant.pin) and meant.pin.startswith(held.pin)
    return is_part and _is_kept(held._replace(pin=meant.pin), meant)


def user_id_bytes(raw: bytes) -> int:
    """How many bytes of a record are its user_id."""
    pin = _held(raw).pin
    return len(pin) if isinstance(pin, bytes) else 0


class _Held(NamedTuple):
    """What a record says, its texts as bytes."""

    privilege: int
    password: bytes
    name: bytes
    card: int
    group: int
    pin: bytes | int


def _is_kept(held: _Held, meant: _Held) -> bool:
    return held == meant or (_lost_its_end(held.name, meant.name) and held._replace(name=meant.name) == meant)


def _held(raw: bytes) -> _Held:
    _uid, privilege, password, name, card, group, _zones, pin = _LAYOUTS[len(raw)].fields.unpack(raw)
    pin = _up_to_nul(pin) if isinstance(pin, bytes) else pin
    return _Held(privilege, _up_to_nul(password), _up_to_nul(name), card, group, pin)


class UserTable:
    """A terminal's users, and the uids that are free.

    `guessed` says that the record size is not known: the table is empty. Of users with one uid, the first counts;
    several may have one user_id, where a script has chosen their uids.
    """

    def __init__(
        self,
        records: bytes,
        *,
        record_size: RecordSize,
        encoding: str,
        host: str = "",
        port: int = 0,
        guessed: bool = False,
    ) -> None:
        self.record_size = record_size
        self.guessed = guessed
        self._records = records
        self._encoding = encoding
        self._host, self._port = host, port
        self._uids = _uids(records, record_size)
        uids = self._uids
        self._at_uid = Index(weakly(self._find_uid), lambda: uids)
        self._at_user_id = Index(weakly(self._find_user_id), weakly(self._user_ids))
        self._reserved: set[int] = set()
        self._taken: set[int] | None = None
        self._highest = max(self._uids, default=0)
        self._lowest_free = 1

    def __len__(self) -> int:
        return len(self._records) // self.record_size

    def __getitem__(self, at: int) -> User:
        return self._user(range(len(self))[at])

    def __iter__(self) -> Iterator[User]:
        return (self._user(at) for at in range(len(self)))

    def by_user_id(self, user_id: str) -> User | None:
        """The first user with this user_id; nobody is found by an empty one."""
        key = self._key(user_id)
        at = None if key is None else self._at_user_id.place(key)
        return None if at is None else self._user(at)

    def all_by_user_id(self, user_id: str) -> list[User]:
        """Every user with this user_id, in the order of the table."""
        key = self._key(user_id)
        at = None if key is None else self._at_user_id.place(key)
        found = []
        while key is not None and at is not None:
            found.append(self._user(at))
            at = self._find_user_id(key, at + 1)
        return found

    def widest_user_id(self) -> int:
        """The bytes of the longest user_id, 0 where records hold a number or the table is empty."""
        return max((len(pin) for pin in self._user_ids() if isinstance(pin, bytes)), default=0)

    def by_uid(self, uid: int) -> User | None:
        """The user with this uid."""
        at = self._at_uid.place(uid)
        return None if at is None else self._user(at)

    def owners(self, uid: int) -> set[str]:
        """The user_ids of every record with this uid: more than one where a table is damaged."""
        return {self._user(at).user_id for at, each in enumerate(self._uids) if each == uid}

    def reserve(self, uid: int) -> None:
        """Do not offer this uid any more: somebody means to use it."""
        self._reserved.add(uid)
        if self._taken is not None:
            self._taken.add(uid)
        self._highest = max(self._highest, uid)

    def next_uid(self) -> int:
        """One above the highest uid in use or reserved; past 65535 the lowest free one. Raises DeviceFull."""
        if self._highest < MAX_UID:
            return self._highest + 1
        if self._taken is None:
            self._taken = self._reserved.union(self._uids)
        for uid in range(self._lowest_free, MAX_UID + 1):
            if uid not in self._taken:
                self._lowest_free = uid
                return uid
        raise DeviceFull(host=self._host, port=self._port)

    def settle(self, record_size: RecordSize) -> None:
        """The empty table's record size is known now: a user was written in it."""
        self.record_size = record_size
        self.guessed = False

    def same_records(self, other: UserTable) -> bool:
        """Whether two readings found the same bytes."""
        return self._records == other._records and self.record_size == other.record_size

    def _key(self, user_id: str) -> bytes | int | None:
        """The user_id as records hold it; None where none can."""
        if not user_id:
            return None
        if self.record_size == 28:
            return int(user_id) if is_number_id(user_id) else None
        try:
            return user_id.encode(self._encoding)
        except UnicodeEncodeError:
            return None

    def _user(self, at: int) -> User:
        start = at * self.record_size
        return decode(self._records[start : start + self.record_size], encoding=self._encoding)

    def _user_ids(self) -> Iterator[bytes | int]:
        pins = (pin for (pin,) in _LAYOUTS[self.record_size].pins.iter_unpack(self._records))
        return (pin.partition(b"\0")[0] for pin in pins) if self.record_size == 72 else pins

    def _find_uid(self, uid: int) -> int | None:
        return self._uids.index(uid) if uid in self._uids else None

    def _find_user_id(self, key: bytes | int, start: int = 0) -> int | None:
        """The place of the first record with this user_id from `start` on."""
        if isinstance(key, int):
            numbers = _words(self._records, "I")[6::7]
            return numbers.index(key, start) if key in numbers[start:] else None
        if b"\0" in key or len(key) > WIDEST_USER_ID:
            return None  # no record says so
        wanted = key.ljust(min(len(key) + 1, WIDEST_USER_ID), b"\0")
        at = self._records.find(wanted, start * self.record_size)
        while at >= 0 and at % self.record_size != _PIN_AT:
            at = self._records.find(wanted, at + 1)
        return None if at < 0 else at // self.record_size


def record_size_of(records: bytes, *, count: int | None, known: RecordSize | None, encoding: str) -> RecordSize | None:
    """The size of the records that a table is made of, None where it is of neither size.

    Three witnesses: how the records look in that size, the terminal's own count, and what was seen before. The
    count of some terminals differs from the table (fananimi/pyzk#88), so it cannot decide alone.
    """
    possible = [size for size in SIZES if not len(records) % size]
    if len(possible) == 1 and count == len(records) // possible[0]:
        return possible[0]
    if known in possible and count == len(records) // known and is_plausible(records, known, encoding=encoding):
        return known  # all three agree
    best: RecordSize | None = None
    most = 0
    for size in possible:
        fits = count is not None and count * size == len(records)
        looks = is_plausible(records, size, encoding=encoding)
        votes = 3 * looks + fits + (known == size)
        # What was seen before says nothing where length and content speak against it: the terminal is another one.
        if votes > most and (looks or fits or count is None):
            best, most = size, votes
    return best


def in_order(records: bytes, *, record_size: RecordSize) -> bool:
    """Whether the uids of a table only rise: then no part of it has changed places with another."""
    uids = _uids(records, record_size)
    return all(uid < following for uid, following in itertools.pairwise(uids))


def is_plausible(records: bytes, record_size: RecordSize, *, encoding: str) -> bool:
    """Whether the bytes look like user records of this size: no uid is 0 or twice, most texts can be read."""
    count = len(records) // record_size
    uids = set(_uids(records, record_size))
    if 0 in uids or len(uids) != count:
        return False
    step = max(1, -(-count // _SAMPLE)) * record_size
    sample = [records[start : start + record_size] for start in range(0, len(records), step)]
    return 2 * sum(_is_plausible(decode(raw, encoding=encoding)) for raw in sample) >= len(sample)


def _uids(records: bytes, record_size: RecordSize) -> array[int]:
    return _words(records, "H")[:: record_size // 2]


def _words(records: bytes, kind: Literal["H", "I"]) -> array[int]:
    """The records as numbers of 16 or 32 bits."""
    words = array(kind)
    words.frombytes(records)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _is_plausible(user: User) -> bool:
    # Half of the records may fail this: one terminal kept 0x31 in every privilege byte (fananimi/pyzk#41).
    texts = (user.user_id, user.name, user.password)
    return bool(user.user_id) and user.privilege <= _MAX_PRIVILEGE and all(map(str.isprintable, texts))


def _measure(
    fields: UserFields, record_size: RecordSize, *, encoding: str, width: int, name_overflow: NameOverflow
) -> tuple[UserFields, list[FieldFault]]:
    layout = _LAYOUTS[record_size]
    faults = []
    if record_size == 28:
        faults += _number_faults(fields.user_id)
    else:
        faults += _text_faults("user_id", fields.user_id, width, encoding)
    name = for_encoding(fields.name, encoding)
    name = _cut(name, layout.name_bytes, encoding) if name_overflow == "truncate" else name
    faults += _text_faults("name", name, layout.name_bytes, encoding)
    faults += _text_faults("password", fields.password, layout.password_bytes, encoding)
    return fields._replace(name=name), faults


def _text_faults(name: str, text: str, limit: int, encoding: str) -> list[FieldFault]:
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        return [FieldFault(name, "encoding", {"encoding": encoding})]
    if data.decode(encoding, errors="replace") != text:
        # Some encodings write two characters as one: `\u301c` and `\uff5e`, or the yen sign and the backslash.
        return [FieldFault(name, "encoding", {"encoding": encoding})]
    size = len(data)
    if size <= limit:
        return []
    return [FieldFault(name, "bytes", {"size": size, "encoding": encoding, "limit": limit})]


def _number_faults(user_id: str) -> list[FieldFault]:
    """A 28-byte record holds the user_id as u32: letters have no place, and 001 would come back as 1."""
    number = user_id.lstrip("0") or "0"
    if not user_id.isascii() or not user_id.isdecimal() or len(number) > 10 or int(number) > MAX_NUMBER_ID:
        return [FieldFault("user_id", "number_id")]
    if number == user_id:
        return []
    return [FieldFault("user_id", "leading_zero", {"text": shown(user_id), "number": number})]


def is_number_id(user_id: str) -> bool:
    """Whether a user_id can be told from its number: digits without a leading zero, of 32 bits."""
    return not _number_faults(user_id)


def _cut(name: str, limit: int, encoding: str) -> str:
    """The name without its last characters, until it takes at most so many bytes."""
    kept = name
    try:
        if len(name.encode(encoding)) <= limit:
            return name
        kept = name[:limit]  # a character takes at least one byte
        while len(kept.encode(encoding)) > limit:
            kept = kept[:-1]
    except UnicodeEncodeError:
        return name
    return kept


def _text(data: bytes, encoding: str) -> str:
    return _up_to_nul(data).decode(encoding, errors="replace")


def _up_to_nul(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]


def _lost_its_end(held: bytes, meant: bytes) -> bool:
    """Whether a terminal has kept a name of 24 bytes but for its last, perhaps in the middle of a character."""
    return len(held) == _NAME_BYTES_BEFORE_NUL and held != meant and meant.startswith(held)
