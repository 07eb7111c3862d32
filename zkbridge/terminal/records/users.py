"""User records in bytes: what a record holds, written, read and changed.

Sources: adrobinoga/zk-protocol `data-user.md` (72 bytes), the ZKSoftware manual of 2006 and pyzk 0.9 (28 bytes).
"""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

RecordSize = Literal[72, 28]
SIZES: tuple[RecordSize, ...] = (72, 28)
#: Bytes of the field in a 72-byte record; the documented 9 are followed by zeros that newer terminals use.
WIDEST_USER_ID = 24


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


class Layout(NamedTuple):
    """Where a record has what. `fields` reads uid, privilege, password, name, card, group, time zones, user id.

    `pins` reads user ids alone.
    """

    fields: struct.Struct
    pins: struct.Struct
    name_bytes: int
    password_bytes: int
    name: slice
    password: slice


LAYOUTS: dict[int, Layout] = {
    72: Layout(struct.Struct("<HB8s24sIB8s24s"), struct.Struct("<48x24s"), 24, 8, slice(11, 35), slice(3, 11)),
    28: Layout(struct.Struct("<HB5s8sIxBHI"), struct.Struct("<24xI"), 8, 5, slice(8, 16), slice(3, 8)),
}


def encode(fields: UserFields, *, uid: int, group: int, record_size: RecordSize, encoding: str) -> bytes:
    """A new user's record, of fields that `fit` has returned. The user has the time zones of the group."""
    password, name = fields.password.encode(encoding), fields.name.encode(encoding)
    if record_size == 72:
        pin = fields.user_id.encode(encoding)
        return LAYOUTS[72].fields.pack(uid, fields.privilege, password, name, fields.card, group, b"", pin)
    return LAYOUTS[28].fields.pack(uid, fields.privilege, password, name, fields.card, group, 0, int(fields.user_id))


def rewrite(user: User, fields: UserFields, *, encoding: str) -> bytes:
    """The user's record with what differs in `fields` put in; every other bit stays, garbage after a NUL included.

    `fields` must have come from `fit`; the user_id stays.
    """
    layout = LAYOUTS[len(user.raw)]
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
    uid, privilege, password, name, card, group, _zones, pin = LAYOUTS[len(raw)].fields.unpack(raw)
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


def up_to_nul(data: bytes) -> bytes:
    """The bytes of a text field before its first NUL."""
    return data.split(b"\0", 1)[0]


def _text(data: bytes, encoding: str) -> str:
    return up_to_nul(data).decode(encoding, errors="replace")
