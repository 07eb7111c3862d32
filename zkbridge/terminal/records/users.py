"""User records in bytes: written, read and changed."""

from __future__ import annotations

from zkbridge.port.users import User, UserChanges, UserFields
from zkbridge.terminal.records.layout import BLOCKED, LAYOUTS, PERMISSION_AT, ROLE, RecordSize, up_to_nul
from zkbridge.terminal.records.record import Record, record_in


def encode(fields: UserFields, *, uid: int, group: int, record_size: RecordSize, encoding: str) -> Record:
    """A new user's record, of fields that `fit` has returned. The user has the time zones of the group."""
    password, name = fields.password.encode(encoding), fields.name.encode(encoding)
    permission = fields.privilege | (BLOCKED if fields.blocked else 0)
    pack = LAYOUTS[record_size].fields.pack
    if record_size == 72:
        pin = fields.user_id.encode(encoding)
        return Record(pack(uid, permission, password, name, fields.card, group, b"", pin))
    return Record(pack(uid, permission, password, name, fields.card, group, 0, int(fields.user_id)))


def with_uid(record: bytes, uid: int) -> Record:
    """A user's record under another uid, every other bit as it is."""
    return Record(uid.to_bytes(2, "little") + record[2:])


def rewrite(user: User, changes: UserChanges, *, encoding: str) -> Record:
    """The user's record with the changes put in; every other bit stays, garbage after a NUL included.

    `changes` must have come from `fit_changes`.
    """
    held = record_in(user)
    layout, raw = LAYOUTS[len(held)], bytearray(held)
    if changes.name is not None:
        _put(raw, layout.name, changes.name.encode(encoding))
    if changes.password is not None:
        _put(raw, layout.password, changes.password.encode(encoding))
    if changes.privilege is not None:
        raw[PERMISSION_AT] = raw[PERMISSION_AT] & ~ROLE | changes.privilege & ROLE
    if changes.blocked is not None:
        raw[PERMISSION_AT] = raw[PERMISSION_AT] & ~BLOCKED | (BLOCKED if changes.blocked else 0)
    if changes.card is not None:
        raw[layout.card] = changes.card.to_bytes(4, "little")
    return Record(raw)


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
        record=Record(raw),
    )


def _put(raw: bytearray, place: slice, text: bytes) -> None:
    """Write a text where the record has another; compared as bytes, for two that differ may read alike."""
    if up_to_nul(bytes(raw[place])) != text:
        raw[place] = text.ljust(place.stop - place.start, b"\0")


def _text(data: bytes, encoding: str) -> str:
    return up_to_nul(data).decode(encoding, errors="replace")
