"""Users as values: as a caller wants one, as a terminal holds one, and changes of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

#: The bit of the permission byte that keeps a user out.
_BLOCKED = 1


class UserFields(NamedTuple):
    """A user as a caller wants it; whether it fits a terminal is checked elsewhere."""

    user_id: str
    name: str
    password: str = ""
    privilege: int = 0
    card: int = 0
    blocked: bool = False

    def __repr__(self) -> str:
        return f"<UserFields of {self.user_id!r}>"  # the rest is secret, or somebody's name


class UserChanges(NamedTuple):
    """Changes of a user; a field that is None stays as it is, bit for bit.

    `privilege` (0 user, 14 administrator) is the role alone, `blocked` whether the terminal refuses the user.
    """

    name: str | None = None
    password: str | None = None
    privilege: int | None = None
    card: int | None = None
    blocked: bool | None = None

    def __repr__(self) -> str:
        named = [field for field, value in zip(self._fields, self, strict=True) if value is not None]
        return f"<UserChanges of {', '.join(named)}>"  # the values are secret, or somebody's name


class UserCopy(NamedTuple):
    """A user as one terminal holds it, for another one.

    `privilege` is the permission byte, `record` the bytes in the form of the transport it was read by, and `encoding`
    the one of their texts. A terminal that holds records of that form gets the bytes, another one the fields.
    """

    user_id: str
    name: str
    password: str
    privilege: int
    card: int
    group: int
    record: bytes
    encoding: str

    @property
    def role(self) -> int:
        """The permission byte without the bit that blocks, as `User.role`."""
        return self.privilege & ~_BLOCKED

    def __repr__(self) -> str:
        return f"<UserCopy of {self.user_id!r}>"  # the rest is secret, or somebody's name


class UserRecord(Protocol):
    """A user's record in the form of its transport: compared, never looked into.

    Two of one transport are equal (`==`) where every bit is, the ones that no field names included.
    """

    def is_held_by(self, user: User, /) -> bool:
        """Whether a terminal that was sent this record, and holds `user`, holds what it was sent.

        Texts are compared as the terminal holds them, not as they read. What a terminal changes by itself (bytes after
        the end of a text, its time zones, the last byte of a name) does not count, nor does the uid.
        """

    def is_cut_off_in(self, user: User, /) -> bool:
        """Whether `user`, of the same uid, is this record with only the beginning of its user_id."""


class User(NamedTuple):
    """A user as a terminal holds it.

    `uid` is the terminal's own number of the user; `privilege` is its permission byte; `record` is for comparisons.
    """

    uid: int
    user_id: str
    name: str
    password: str
    privilege: int
    card: int
    group: int
    record: UserRecord

    @property
    def blocked(self) -> bool:
        """Whether the terminal refuses the user: bit 0 of the permission byte (zk-protocol `data-user.md`)."""
        return bool(self.privilege & _BLOCKED)

    @property
    def role(self) -> int:
        """The permission byte without that bit: 0 user, 14 administrator, and what a terminal has beside them."""
        return self.privilege & ~_BLOCKED

    def __repr__(self) -> str:
        return f"<User {self.uid}: {self.user_id!r}>"  # as above


class UserTable(Protocol):
    """A terminal's users, and the uids that are free.

    Of users with one uid, the first counts; several may have one user_id, where a script has chosen their uids.
    """

    @property
    def hidden(self) -> int:
        """How many more users the terminal counts: anyone who is not in the table may be one of them."""

    def __len__(self) -> int:
        """How many."""

    def __iter__(self) -> Iterator[User]:
        """Each, in the order of the terminal's table."""

    def __getitem__(self, at: int, /) -> User:
        """The one at this place."""

    def by_user_id(self, user_id: str) -> User | None:
        """The first user with this user_id; an empty one finds no user."""

    def all_by_user_id(self, user_id: str) -> list[User]:
        """Every user with this user_id, in the order of the table."""

    def by_uid(self, uid: int) -> User | None:
        """The user with this uid."""

    def owners(self, uid: int) -> set[str]:
        """The user_ids of every record with this uid: more than one where a table is damaged."""

    def reserve(self, uid: int, user_id: str) -> None:
        """Do not offer this uid any more: a request is about to use it for this user."""

    def is_reserved(self, uid: int, user_id: str) -> bool:
        """Whether a request is about to use this uid for another user than this."""

    def next_uid(self) -> int:
        """A free uid for the next user. Raises DeviceFull."""


def shortage(table: UserTable) -> str:
    """What is wrong with a table that is short of users, for a DeviceRejected (`table`)."""
    return f"it shows {len(table)} users, but counts {len(table) + table.hidden}"
