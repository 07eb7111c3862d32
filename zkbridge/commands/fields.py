"""The fields that commands share: what counts as a user_id, a name, a card, and which rule a wrong one breaks."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from zkbridge.contract.errors import MAX_FAULTS, FieldFault
from zkbridge.contract.texts import shown

MAX_CARD = 0xFFFFFFFF  # the card is a u32 in both record formats
MAX_REQUEST_ID = 128
MAX_COUNT = 0xFFFFFFFF
MAX_FINGER_INDEX = 9
MAX_ENROLMENT_S = 300
USER, ADMINISTRATOR = 0, 14


def _broken(rule: str, **facts: Any) -> PydanticCustomError:
    """The fault that `faults_of` turns into a FieldFault."""
    return PydanticCustomError("field", "{rule}", {"rule": rule, "facts": facts})


def _plain(text: str) -> str:
    # Cc: control characters. Cs: half a surrogate pair, which JSON can spell and no encoding can hold.
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise _broken("control")
    return text


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: object) -> str:
    if not isinstance(value, str) and not _is_integer(value):
        raise _broken("text")
    return _plain(str(value))


def _user_id(value: object) -> str:
    return _filled(_text(value))


def _name(value: object) -> str:
    if not isinstance(value, (str, Decimal)) and not _is_integer(value):
        raise _broken("text_or_number")
    return _filled(_plain(str(value)))


def _filled(text: str) -> str:
    text = text.strip()
    if not text:
        raise _broken("empty")
    return text


def _number(value: object, rule: str) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return int(value.strip()[:40])
    if not isinstance(value, int) or isinstance(value, bool):
        raise _broken(rule)
    return value


def _privilege(value: object) -> int:
    number = _number(value, "privilege")
    if number not in (USER, ADMINISTRATOR):
        raise _broken("privilege")
    return number


def _card(value: object) -> int:
    number = 0 if value == "" else _number(value, "card")
    if not 0 <= number <= MAX_CARD:
        raise _broken("card")
    return number


def _request_id(value: object) -> str:
    if not isinstance(value, str):
        raise _broken("string")
    if not value:
        raise _broken("empty")
    if len(value) > MAX_REQUEST_ID:
        raise _broken("too_many", limit=MAX_REQUEST_ID)
    if not value.isprintable():
        raise _broken("unprintable")
    return value


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() is None:
        raise _broken("instant")
    return instant


def _count(value: object, *, least: int, most: int = MAX_COUNT) -> int:
    facts = {"least": least, "most": most}
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        value = int(value.strip()[:40])
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _broken("count", **facts)
    return value


def _offset(value: object) -> int:
    return _count(value, least=0)


def _limit(value: object) -> int:
    return _count(value, least=1)


def _door_seconds(value: object) -> int:
    return _count(value, least=1, most=60)


def _enrolment_seconds(value: object) -> int:
    return _count(value, least=1, most=MAX_ENROLMENT_S)


def _finger_index(value: object) -> int:
    number = _number(value, "finger_index")
    if not 0 <= number <= MAX_FINGER_INDEX:
        raise _broken("finger_index")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _broken("boolean")
    return value


def _local(value: object, rule: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise _broken(rule)
    return moment.replace(microsecond=0)


def _local_time(value: object) -> str:
    moment = _local(value, "local_time")
    return moment.date().isoformat() if len(str(value).strip()) <= len("2030-01-31") else moment.isoformat()


def _local_moment(value: object) -> str:
    moment = _local(value, "local_moment")
    # The terminal's clock counts in one word of 32 bits, the year modulo 100 (pyzk 0.9 `__encode_time`).
    if len(str(value)) <= len("2030-01-31") or not 2000 <= moment.year <= 2099:
        raise _broken("local_moment")
    return moment.isoformat()


def _described(description: str, *types: str, **rules: Any) -> WithJsonSchema:
    """What the validator beside it takes, for the description that machines read."""
    kinds: str | list[str] = types[0] if len(types) == 1 else list(types)
    return WithJsonSchema({"type": kinds, "description": description, **rules})


UserId = Annotated[
    str,
    BeforeValidator(_user_id),
    _described("Trimmed, not empty, no control characters.", "string", "integer", examples=["123"]),
]
Name = Annotated[
    str,
    BeforeValidator(_name),
    _described("Trimmed, not empty, no control characters.", "string", "number", examples=["Juan Perez"]),
]
Password = Annotated[
    str,
    BeforeValidator(_text),
    _described("A PIN; never in a reply or a log.", "string", "integer", format="password", examples=["1234"]),
]
Privilege = Annotated[
    int,
    BeforeValidator(_privilege),
    _described(
        "0 user, 14 administrator; a numeric string counts.",
        "integer",
        "string",
        enum=[USER, ADMINISTRATOR, str(USER), str(ADMINISTRATOR)],
        examples=[USER],
    ),
]
Card = Annotated[
    int,
    BeforeValidator(_card),
    _described(
        "A numeric string counts; an empty one is 0. Never in a log.",
        "integer",
        "string",
        minimum=0,
        maximum=MAX_CARD,
        pattern=r"^\s*[0-9]*\s*$",
        examples=[12345],
    ),
]
Offset = Annotated[
    int,
    BeforeValidator(_offset),
    _described("How many rows to leave out; a numeric string counts.", "integer", "string", examples=[0]),
]
Limit = Annotated[
    int,
    BeforeValidator(_limit),
    _described("How many rows at most; a numeric string counts.", "integer", "string", examples=[100]),
]
DoorSeconds = Annotated[
    int,
    BeforeValidator(_door_seconds),
    _described("For how long, 1 to 60; a numeric string counts.", "integer", "string", examples=[3]),
]
FingerIndex = Annotated[
    int,
    BeforeValidator(_finger_index),
    _described("The terminal's index, 0 to 9; a numeric string counts.", "integer", "string", examples=[6]),
]
EnrolmentSeconds = Annotated[
    int,
    BeforeValidator(_enrolment_seconds),
    _described(
        f"How long the person is waited for, 1 to {MAX_ENROLMENT_S}; a numeric string counts.",
        "integer",
        "string",
        examples=[60],
    ),
]
Flag = Annotated[bool, BeforeValidator(_boolean), _described("true or false.", "boolean", examples=[False])]
LocalTime = Annotated[
    str,
    BeforeValidator(_local_time),
    _described(
        "A date or date-time of the terminal's wall clock, without an offset.", "string", examples=["2030-01-31"]
    ),
]
LocalMoment = Annotated[
    str,
    BeforeValidator(_local_moment),
    _described("A date-time of 2000 to 2099, without an offset.", "string", examples=["2030-01-31T08:00:00"]),
]
CatchUp = Annotated[
    bool,
    BeforeValidator(_boolean),
    _described(
        "For a group only, with expires_at: devices that are away are caught up when they answer, until then.",
        "boolean",
        examples=[True],
    ),
]
RequestId = Annotated[
    str,
    BeforeValidator(_request_id),
    _described(
        "Printable characters; comes back in the reply, and makes the request repeatable.",
        "string",
        minLength=1,
        maxLength=MAX_REQUEST_ID,
        examples=["r-1"],
    ),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    _described(
        "ISO 8601 with an offset; past it the request is not executed.",
        "string",
        format="date-time",
        examples=["2030-01-31T08:00:00+00:00"],
    ),
]


def read_request_id(body: object) -> str | None:
    """The request_id of a payload, if it has one that can be read."""
    try:
        return _request_id(body["request_id"]) if isinstance(body, dict) else None
    except (KeyError, PydanticCustomError):
        return None


def faults_of(error: ValidationError, known: Iterable[str]) -> list[FieldFault]:
    """The faults that pydantic found, in our words.

    No more than a reply tells: to look for the name that was meant takes a while for each.
    """
    return [_fault(dict(detail), list(known)) for detail in error.errors(include_url=False)[:MAX_FAULTS]]


def _fault(detail: dict[str, Any], known: list[str]) -> FieldFault:
    name = shown(str(detail["loc"][0])) if detail["loc"] else ""
    if detail["type"] == "field":
        return FieldFault(name, detail["ctx"]["rule"], detail["ctx"]["facts"])
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1)
        return FieldFault(name, "unknown_like", {"like": near[0]}) if near else FieldFault(name, "unknown")
    return FieldFault(name, "required" if detail["type"] == "missing" else "text")
