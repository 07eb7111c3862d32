"""A user record's bytes, and whether a terminal holds the record that it was sent."""

from __future__ import annotations

from typing import NamedTuple

from zkbridge.port.users import User
from zkbridge.terminal.records.layout import LAYOUTS, SIZES, RecordSize, up_to_nul

#: The name field is documented as NUL-terminated: some terminals keep this many of its 24 bytes.
_NAME_BYTES_BEFORE_NUL = 23


class Record(bytes):
    """A user record of 72 or 28 bytes. Equal to another where every byte is."""

    __slots__ = ()

    @property
    def size(self) -> RecordSize:
        """Its bytes."""
        return next(size for size in SIZES if size == len(self))

    @property
    def user_id_bytes(self) -> int:
        """How many of its bytes are the user_id, 0 where that is a number."""
        pin = _held(self).pin
        return len(pin) if isinstance(pin, bytes) else 0

    def is_held_by(self, user: User) -> bool:
        """Whether a terminal that was sent this record would hold just this user.

        Texts are compared as bytes: two that differ may be read as the same, and one that is the same as another. What
        follows a NUL, and the time zones, which a terminal sets, do not count.
        """
        return _is_kept(_held(record_in(user)), _held(self))

    def is_cut_off_in(self, user: User) -> bool:
        """Whether a terminal that was sent this record has kept it, but only the first bytes of its user_id."""
        held, meant = _held(record_in(user)), _held(self)
        if (
            not isinstance(held.pin, bytes)
            or not isinstance(meant.pin, bytes)
            or user.uid != int.from_bytes(self[:2], "little")
        ):
            return False
        is_part = 0 < len(held.pin) < len(meant.pin) and meant.pin.startswith(held.pin)
        return is_part and _is_kept(held._replace(pin=meant.pin), meant)


def record_in(user: User) -> Record:
    """The bytes of a user that was read over this transport. Raises TypeError for one of another."""
    if not isinstance(user.record, Record):
        raise TypeError(f"a {type(user.record).__name__} is no record of a terminal on port 4370")
    return user.record


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
    _uid, privilege, password, name, card, group, _zones, pin = LAYOUTS[len(raw)].fields.unpack(raw)
    pin = up_to_nul(pin) if isinstance(pin, bytes) else pin
    return _Held(privilege, up_to_nul(password), up_to_nul(name), card, group, pin)


def _lost_its_end(held: bytes, meant: bytes) -> bool:
    """Whether a terminal has kept a name of 24 bytes but for its last, perhaps in the middle of a character."""
    return len(held) == _NAME_BYTES_BEFORE_NUL and held != meant and meant.startswith(held)
