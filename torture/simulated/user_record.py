"""The record of a user on a simulated terminal."""

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


def person_of(raw: bytes) -> Person:
    """The user of a record."""
    uid, permission, _, name, _, _, _, pin = USER.unpack(raw)
    return Person(uid, _text(pin), _text(name), bool(permission & 1))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode()
