"""Whether a user fits a terminal: bytes of each text, characters of the encoding, user_ids that are numbers."""

from __future__ import annotations

from typing import Literal, NamedTuple

from zkbridge.contract.characters import for_encoding
from zkbridge.contract.errors import FieldFault, InvalidField
from zkbridge.contract.texts import shown
from zkbridge.port.users import UserChanges, UserFields

NameOverflow = Literal["refuse", "truncate"]
MAX_NUMBER_ID = 0xFFFFFFFF
#: A user_id that fits every terminal, for changes of a user who has one already.
_FITTING = "1"


class Limits(NamedTuple):
    """What a terminal has room for, in bytes. `number_ids`: it holds a user_id as a number of 32 bits."""

    user_id_bytes: int
    name_bytes: int
    password_bytes: int
    number_ids: bool = False


#: The most that any terminal has room for.
WIDEST = Limits(user_id_bytes=24, name_bytes=24, password_bytes=8)


def surely_unfit(fields: UserFields, *, encoding: str, name_overflow: NameOverflow) -> tuple[FieldFault, ...]:
    """The faults of a user that no terminal with this encoding can hold."""
    _, faults = _measure(fields, WIDEST, encoding=encoding, name_overflow=name_overflow)
    return tuple(faults)


def surely_unfit_changes(changes: UserChanges, *, encoding: str, name_overflow: NameOverflow) -> tuple[FieldFault, ...]:
    """The faults of changes that no terminal with this encoding can hold."""
    return surely_unfit(_texts(changes), encoding=encoding, name_overflow=name_overflow)


def fit(fields: UserFields, limits: Limits, *, encoding: str, name_overflow: NameOverflow) -> UserFields:
    """The user as a terminal with these limits will hold it: the name may come back cut at a character.

    Raises InvalidField with every fault.
    """
    fitted, faults = _measure(fields, limits, encoding=encoding, name_overflow=name_overflow)
    if faults:
        raise InvalidField(*faults)
    return fitted


def fit_changes(changes: UserChanges, limits: Limits, *, encoding: str, name_overflow: NameOverflow) -> UserChanges:
    """The changes as a terminal with these limits will hold them, as `fit`. Raises InvalidField with every fault."""
    fitted = fit(_texts(changes), limits, encoding=encoding, name_overflow=name_overflow)
    return changes if changes.name is None else changes._replace(name=fitted.name)


def is_number_id(user_id: str) -> bool:
    """Whether a number of 32 bits can stand for a user_id: digits without a leading zero."""
    return not _number_faults(user_id)


def _texts(changes: UserChanges) -> UserFields:
    return UserFields(_FITTING, changes.name or "", changes.password or "")


def _measure(
    fields: UserFields, limits: Limits, *, encoding: str, name_overflow: NameOverflow
) -> tuple[UserFields, list[FieldFault]]:
    faults = []
    if limits.number_ids:
        faults += _number_faults(fields.user_id)
    else:
        faults += _text_faults("user_id", fields.user_id, limits.user_id_bytes, encoding)
    name = for_encoding(fields.name, encoding)
    name = _cut(name, limits.name_bytes, encoding) if name_overflow == "truncate" else name
    faults += _text_faults("name", name, limits.name_bytes, encoding)
    faults += _text_faults("password", fields.password, limits.password_bytes, encoding)
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
