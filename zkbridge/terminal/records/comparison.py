"""Whether a terminal holds the user that was written: its record compared with the one that was sent."""

from __future__ import annotations

from typing import NamedTuple

from zkbridge.terminal.records.users import LAYOUTS, SIZES, User, UserFields, encode, up_to_nul

#: The name field is documented as NUL-terminated: some terminals keep this many of its 24 bytes.
_NAME_BYTES_BEFORE_NUL = 23


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
    _uid, privilege, password, name, card, group, _zones, pin = LAYOUTS[len(raw)].fields.unpack(raw)
    pin = up_to_nul(pin) if isinstance(pin, bytes) else pin
    return _Held(privilege, up_to_nul(password), up_to_nul(name), card, group, pin)


def _lost_its_end(held: bytes, meant: bytes) -> bool:
    """Whether a terminal has kept a name of 24 bytes but for its last, perhaps in the middle of a character."""
    return len(held) == _NAME_BYTES_BEFORE_NUL and held != meant and meant.startswith(held)
