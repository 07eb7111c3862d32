"""Whether a user fits into a record: bytes of each text, characters of the encoding, user_ids that are numbers."""

from __future__ import annotations

from typing import Literal

from zkbridge.contract.characters import for_encoding
from zkbridge.contract.errors import FieldFault, InvalidField
from zkbridge.contract.texts import shown
from zkbridge.terminal.records.users import LAYOUTS, WIDEST_USER_ID, RecordSize, UserFields

NameOverflow = Literal["refuse", "truncate"]
MAX_NUMBER_ID = 0xFFFFFFFF


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


def is_number_id(user_id: str) -> bool:
    """Whether a user_id can be told from its number: digits without a leading zero, of 32 bits."""
    return not _number_faults(user_id)


def _measure(
    fields: UserFields, record_size: RecordSize, *, encoding: str, width: int, name_overflow: NameOverflow
) -> tuple[UserFields, list[FieldFault]]:
    layout = LAYOUTS[record_size]
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
