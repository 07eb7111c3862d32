"""The record of a user on a simulated terminal, and what was written to its table."""

from __future__ import annotations

import struct
from typing import NamedTuple

#: 72 bytes: uid, privilege, password, name, card, group, time zones, user id.
USER = struct.Struct("<HB8s24sIB8s24s")


class Person(NamedTuple):
    """A user on the terminal."""

    uid: int
    user_id: str
    name: str
    blocked: bool


class Written(NamedTuple):
    """What the table of users came to hold: `name` is None where the user was deleted."""

    at: float
    user_id: str
    name: str | None
    disabled: bool
    blocked: bool = False


def person_of(raw: bytes) -> Person:
    """The user of a record."""
    uid, permission, _, name, _, _, _, pin = USER.unpack(raw)
    return Person(uid, _text(pin), _text(name), bool(permission & 1))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode()
