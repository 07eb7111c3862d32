"""A terminal's whole table of users: found by uid or user_id, and the uid of the next one."""

from __future__ import annotations

from collections.abc import Iterator

from zkbridge.port.fit import is_number_id
from zkbridge.port.users import User
from zkbridge.terminal.records.free_uids import FreeUids
from zkbridge.terminal.records.index import Index, weakly
from zkbridge.terminal.records.layout import LAYOUTS, WIDEST_USER_ID, RecordSize
from zkbridge.terminal.records.numbers import uids_of, words_of
from zkbridge.terminal.records.users import decode

#: Where a 72-byte record has its user_id.
_PIN_AT = 48


class RecordTable:
    """A terminal's users, and the uids that are free.

    `guessed` says that the record size is not known: the table is empty. `hidden` is how many more users the terminal
    counts: a busy one shows a part of its table (vodvud/php_zklib#14). Of users with one uid, the first counts;
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
        self.hidden = 0
        self._records = records
        self._encoding = encoding
        self._uids = uids_of(records, record_size)
        uids = self._uids
        self._at_uid = Index(weakly(self._find_uid), lambda: uids)
        self._at_user_id = Index(weakly(self._find_user_id), weakly(self._user_ids))
        self._free = FreeUids(uids, host=host, port=port)

    def __len__(self) -> int:
        return len(self._records) // self.record_size

    def __getitem__(self, at: int) -> User:
        return self._user(range(len(self))[at])

    def __iter__(self) -> Iterator[User]:
        return (self._user(at) for at in range(len(self)))

    def by_user_id(self, user_id: str) -> User | None:
        """The first user with this user_id; an empty one finds no user."""
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

    def reserve(self, uid: int, user_id: str) -> None:
        """Do not offer this uid any more: a request is about to use it for this user."""
        self._free.reserve(uid, user_id)

    def is_reserved(self, uid: int, user_id: str) -> bool:
        """Whether a request is about to use this uid for another user than this."""
        return self._free.is_reserved(uid, user_id)

    def next_uid(self) -> int:
        """One above the highest uid in use or reserved; past 65535 the lowest free one. Raises DeviceFull."""
        return self._free.next()

    def settle(self, record_size: RecordSize) -> None:
        """The empty table's record size is known now: a user was written in it."""
        self.record_size = record_size
        self.guessed = False

    def same_records(self, other: RecordTable) -> bool:
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
        pins = (pin for (pin,) in LAYOUTS[self.record_size].pins.iter_unpack(self._records))
        return (pin.partition(b"\0")[0] for pin in pins) if self.record_size == 72 else pins

    def _find_uid(self, uid: int) -> int | None:
        return self._uids.index(uid) if uid in self._uids else None

    def _find_user_id(self, key: bytes | int, start: int = 0) -> int | None:
        """The place of the first record with this user_id from `start` on."""
        if isinstance(key, int):
            numbers = words_of(self._records, "I")[6::7]
            return numbers.index(key, start) if key in numbers[start:] else None
        if b"\0" in key or len(key) > WIDEST_USER_ID:
            return None  # no record says so
        wanted = key.ljust(min(len(key) + 1, WIDEST_USER_ID), b"\0")
        at = self._records.find(wanted, start * self.record_size)
        while at >= 0 and at % self.record_size != _PIN_AT:
            at = self._records.find(wanted, at + 1)
        return None if at < 0 else at // self.record_size
