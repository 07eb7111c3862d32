"""Records as they lie in a terminal's tables and events: users, templates, punches.

Sources: adrobinoga/zk-protocol (data-user.md, data-record.md, realtime.md), pyzk 0.9, the manual of 2006.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkbridge.simulator.wire import frames as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# uid, permission, password, name, card, group, own-time-zone flag, three time zones, user id, zeros
_USER_72 = struct.Struct("<HB8s24sIBHHHH9s15x")
# uid, permission, password, name, card, pad, group, time zones, user id as a number
_USER_28 = struct.Struct("<HB5s8sIxBHI")

_PASSWORD_BYTES = {72: 8, 28: 5}
_NAME_BYTES = {72: 24, 28: 8}
_GROUP_AT = {72: 39, 28: 21}
_ZONES_AT = 40
#: The size of a record of TFT firmware in bytes.
LONG_RECORD = 72
_JUNK = b"\xc6\x9a\x80\x7c\x13"


@dataclass(frozen=True, slots=True)
class UserView:
    """One user as the terminal holds it; `raw` is the record byte for byte."""

    uid: int
    user_id: str
    name: str
    password: str
    privilege: int
    card: int
    group: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Template:
    """One finger; `flag` is 0 invalid, 1 valid, 3 duress."""

    flag: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Punch:
    """One line of the attendance log; `time` counts as `wire.encode_time` does."""

    uid: int
    user_id: str
    verify: int
    state: int
    time: int


#: A line of the attendance log that was never filled in.
_NO_PUNCH = Punch(0, "", 0, 0, 0)


def pack_user(
    record: int,
    *,
    uid: int,
    user_id: str,
    name: bytes,
    password: bytes,
    privilege: int,
    card: int,
    group: int,
) -> bytes:
    """A user record of 72 or 28 bytes; ValueError when the user id does not fit it."""
    password = password[: _PASSWORD_BYTES[record]]
    name = name[: _NAME_BYTES[record]]
    if record == 72:
        pin = user_id.encode()
        if len(pin) > 9:
            raise ValueError(f"user_id {user_id!r} is longer than 9 bytes")
        return _USER_72.pack(uid, privilege, password, name, card, group, 0, 0, 0, 0, pin)
    if not user_id.isdecimal() or int(user_id) > 0xFFFFFFFF:
        raise ValueError(f"user_id {user_id!r} is not a number of 32 bits")
    return _USER_28.pack(uid, privilege, password, name, card, group, 0, int(user_id))


def view_user(raw: bytes, encoding: str) -> UserView:
    """Read a user record of 72 or 28 bytes; what the encoding lacks becomes a replacement character."""
    size = len(raw)
    password_end = 3 + _PASSWORD_BYTES[size]
    name_end = password_end + _NAME_BYTES[size]
    card_at = 35 if size == 72 else 16
    return UserView(
        uid=user_uid(raw),
        user_id=user_pin(raw),
        name=_text(raw[password_end:name_end], encoding),
        password=_text(raw[3:password_end], encoding),
        privilege=raw[2],
        card=int.from_bytes(raw[card_at : card_at + 4], "little"),
        group=raw[_GROUP_AT[size]],
        raw=raw,
    )


def user_uid(raw: bytes) -> int:
    """The internal number of a user record."""
    return int.from_bytes(raw[:2], "little")


def user_pin(raw: bytes) -> str:
    """The user id of a user record, as text; clients write up to 24 bytes where the manual has 9."""
    if len(raw) == 72:
        return _text(raw[48:72], "utf-8")
    return str(int.from_bytes(raw[24:28], "little"))


def card_number(raw: bytes) -> int:
    """The card of a user record; 0 is none."""
    at = 35 if len(raw) == 72 else 16
    return int.from_bytes(raw[at : at + 4], "little")


def with_card(raw: bytes, card: int) -> bytes:
    """The record with another card."""
    at = 35 if len(raw) == 72 else 16
    return raw[:at] + card.to_bytes(4, "little") + raw[at + 4 :]


def with_group(raw: bytes, group: int) -> bytes:
    """The record with another group."""
    at = _GROUP_AT[len(raw)]
    return raw[:at] + bytes((group,)) + raw[at + 1 :]


def user_zones(raw: bytes) -> tuple[int, int, int, int]:
    """Of a record of 72 bytes: whether the user has time zones of their own, and three of them."""
    return struct.unpack_from("<4H", raw, _ZONES_AT)


def with_user_zones(raw: bytes, own: bool, zones: Sequence[int]) -> bytes:
    """A record of 72 bytes with other time zones."""
    return raw[:_ZONES_AT] + struct.pack("<4H", own, *zones) + raw[_ZONES_AT + 8 :]


def with_privilege(raw: bytes, privilege: int) -> bytes:
    """The record with another permission byte."""
    return raw[:2] + bytes((privilege,)) + raw[3:]


def with_short_name(raw: bytes, kept: int) -> bytes:
    """The record with no more than this many bytes of its name, wherever a character ends."""
    start = 3 + _PASSWORD_BYTES[len(raw)]
    end = start + _NAME_BYTES[len(raw)]
    return raw[:start] + raw[start:end][:kept].ljust(end - start, b"\0") + raw[end:]


def with_short_pin(raw: bytes, kept: int) -> bytes:
    """A record of 72 bytes with no more than this many bytes of its user id."""
    return raw[:48] + raw[48:][:kept].ljust(24, b"\0")


def with_junk(raw: bytes) -> bytes:
    """The record with random bytes after the NUL of password and name, as real tables have it."""
    start = 3 + _PASSWORD_BYTES[len(raw)]
    end = start + _NAME_BYTES[len(raw)]
    return raw[:3] + _junked(raw[3:start]) + _junked(raw[start:end]) + raw[end:]


def template_entry(uid: int, finger: int, template: Template) -> bytes:
    """One entry of the template table: its own size, uid, finger, flag, template."""
    head = struct.pack("<HHBB", len(template.data) + 6, uid, finger, template.flag)
    return head + template.data


def attendance_record(punch: Punch, layout: str) -> bytes:
    """A punch in one of the layouts of the attendance log, named by their sizes; all zeros for one without anything."""
    record = _ATTENDANCE[layout](punch)
    return bytes(len(record)) if punch == _NO_PUNCH else record


def attendance_event(punch: Punch, size: str) -> bytes:
    """The data of the event of a punch, in one of the sizes that firmware uses."""
    when = wire.event_time(wire.decode_time(punch.time))
    if size in ("10", "14"):
        return struct.pack("<HBB6s", punch.uid, punch.verify, punch.state, when).ljust(int(size), b"\0")
    if size == "12":
        return struct.pack("<IBB6s", _number(punch), punch.verify, punch.state, when)
    return struct.pack("<24sBB6s", punch.user_id.encode(), punch.verify, punch.state, when).ljust(int(size), b"\0")


def _record_40(punch: Punch) -> bytes:
    return struct.pack(
        "<H24sBIB8s",
        punch.uid,
        punch.user_id.encode(),
        punch.verify,
        punch.time,
        punch.state,
        b"\0\0\0\0\xff\0\0\0",
    )


_ATTENDANCE: dict[str, Callable[[Punch], bytes]] = {
    "8": lambda punch: struct.pack("<HBIB", punch.uid, punch.verify, punch.time, punch.state),
    "8b": lambda punch: struct.pack("<HBBI", punch.uid, punch.verify, punch.state, punch.time),
    "16": lambda punch: struct.pack("<IIBBHI", _number(punch), punch.time, punch.verify, punch.state, 0, 0),
    "40": _record_40,
    "49": lambda punch: _record_40(punch) + b"\xff255\0\0\0\0\0",
}


def _number(punch: Punch) -> int:
    return int(punch.user_id) if punch.user_id.isdecimal() else punch.uid


def _junked(text: bytes) -> bytes:
    end = text.find(b"\0")
    if end < 0:
        return text
    room = len(text) - end - 1
    return text[: end + 1] + (_JUNK * (room // len(_JUNK) + 1))[:room]


def _text(raw: bytes, encoding: str) -> str:
    return raw.split(b"\0", 1)[0].decode(encoding, errors="replace")
