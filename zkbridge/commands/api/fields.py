"""The fields that commands share and that are numbers, moments or choices: what counts as a card, a date, a limit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from zkbridge.commands.api.rules import broken, described
from zkbridge.contract.characters import ascii_digits
from zkbridge.contract.texts import LANGUAGES, Language

MAX_CARD = 0xFFFFFFFF  # the card is a u32 in both record formats
MAX_REQUEST_ID = 128
MAX_COUNT = 0xFFFFFFFF  # and no number of any field is larger
_MAX_DIGITS = len(str(MAX_COUNT))
MAX_FINGER_INDEX = 9
MAX_ENROLMENT_S = 300
USER, ADMINISTRATOR = 0, 14


def _digits(value: object) -> object:
    """A decimal number that came as text; anything else as it is. Never cut: what is too long becomes too large."""
    text = ascii_digits(value.strip()) if isinstance(value, str) else ""
    if not text.isdecimal():
        return value
    significant = text.lstrip("0") or "0"
    return int(significant) if len(significant) <= _MAX_DIGITS else MAX_COUNT + 1


def _number(value: object, rule: str) -> int:
    value = _digits(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise broken(rule)
    return value


def _privilege(value: object) -> int:
    number = _number(value, "privilege")
    if number not in (USER, ADMINISTRATOR):
        raise broken("privilege")
    return number


def _card(value: object) -> int:
    number = 0 if value == "" else _number(value, "card")
    if not 0 <= number <= MAX_CARD:
        raise broken("card")
    return number


def _request_id(value: object) -> str:
    if not isinstance(value, str):
        raise broken("string")
    if not value:
        raise broken("empty")
    if len(value) > MAX_REQUEST_ID:
        raise broken("too_many", limit=MAX_REQUEST_ID)
    if not value.isprintable():
        raise broken("unprintable")
    return value


def _language(value: object) -> str:
    if not isinstance(value, str) or value not in LANGUAGES:
        raise broken("language")
    return value


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() is None:
        raise broken("instant")
    return instant


def count_of(value: object, *, least: int, most: int = MAX_COUNT) -> int:
    """A number from `least` to `most`, also as text; any other value breaks the rule `count`."""
    facts = {"least": least, "most": most}
    value = _digits(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise broken("count", **facts)
    return value


def _offset(value: object) -> int:
    return count_of(value, least=0)


def _limit(value: object) -> int:
    return count_of(value, least=1)


def _door_seconds(value: object) -> int:
    return count_of(value, least=1, most=60)


def _enrolment_seconds(value: object) -> int:
    return count_of(value, least=1, most=MAX_ENROLMENT_S)


def _finger_index(value: object) -> int:
    number = _number(value, "finger_index")
    if not 0 <= number <= MAX_FINGER_INDEX:
        raise broken("finger_index")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise broken("boolean")
    return value


def _local(value: object, rule: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise broken(rule)
    return moment.replace(microsecond=0)


def _local_time(value: object) -> str:
    moment = _local(value, "local_time")
    return moment.date().isoformat() if len(str(value).strip()) <= len("2030-01-31") else moment.isoformat()


def _local_moment(value: object) -> str:
    return _moment(value, "local_moment")


def _valid_moment(value: object) -> str:
    return "" if value == "" else _moment(value, "valid_moment")


def _moment(value: object, rule: str) -> str:
    moment = _local(value, rule)
    # The terminal's clock counts in one word of 32 bits, the year modulo 100 (pyzk 0.9 `__encode_time`).
    if len(str(value)) <= len("2030-01-31") or not 2000 <= moment.year <= 2099:
        raise broken(rule)
    return moment.isoformat()


Privilege = Annotated[
    int,
    BeforeValidator(_privilege),
    described(
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
    described(
        "A numeric string counts; an empty one is 0. Never in a log.",
        "integer",
        "string",
        minimum=0,
        maximum=MAX_CARD,
        pattern=r"^\s*\d*\s*$",
        examples=[12345],
    ),
]
Offset = Annotated[
    int,
    BeforeValidator(_offset),
    described("How many rows to skip; a numeric string counts.", "integer", "string", examples=[0]),
]
Total = Annotated[
    int,
    BeforeValidator(_offset),
    described(
        "The `total` of `attendance/list` that was read; a numeric string counts.", "integer", "string", examples=[0]
    ),
]
Limit = Annotated[
    int,
    BeforeValidator(_limit),
    described("How many rows at most; a numeric string counts.", "integer", "string", examples=[100]),
]
DoorSeconds = Annotated[
    int,
    BeforeValidator(_door_seconds),
    described("For how long, 1 to 60; a numeric string counts.", "integer", "string", examples=[3]),
]
FingerIndex = Annotated[
    int,
    BeforeValidator(_finger_index),
    described("The terminal's index, 0 to 9; a numeric string counts.", "integer", "string", examples=[6]),
]
EnrolmentSeconds = Annotated[
    int,
    BeforeValidator(_enrolment_seconds),
    described(
        f"How long the person is waited for, 1 to {MAX_ENROLMENT_S}; a numeric string counts.",
        "integer",
        "string",
        examples=[60],
    ),
]
Flag = Annotated[bool, BeforeValidator(_boolean), described("true or false.", "boolean", examples=[False])]
LocalTime = Annotated[
    str,
    BeforeValidator(_local_time),
    described(
        "A date or date-time of the terminal's wall clock, without an offset.", "string", examples=["2030-01-31"]
    ),
]
LocalMoment = Annotated[
    str,
    BeforeValidator(_local_moment),
    described("A date-time of 2000 to 2099, without an offset.", "string", examples=["2030-01-31T08:00:00"]),
]
ValidMoment = Annotated[
    str,
    BeforeValidator(_valid_moment),
    described(
        "A date-time of 2000 to 2099 in the device's time zone, without an offset; empty: no such date.",
        "string",
        examples=["2030-01-31T18:00:00"],
    ),
]
CatchUp = Annotated[
    bool,
    BeforeValidator(_boolean),
    described(
        "For a group only, with expires_at: until then, devices that do not answer get the request later.",
        "boolean",
        examples=[True],
    ),
]
RequestId = Annotated[
    str,
    BeforeValidator(_request_id),
    described(
        "Printable characters; the reply has it too; makes the request repeatable.",
        "string",
        minLength=1,
        maxLength=MAX_REQUEST_ID,
        examples=["r-1"],
    ),
]
SpokenLanguage = Annotated[
    Language,
    BeforeValidator(_language),
    described(
        "The language of the answer's sentences and finger names; without it, that of the configuration.",
        "string",
        enum=list(LANGUAGES),
        examples=["en"],
    ),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    described(
        "ISO 8601 with an offset; after that time the request is not executed.",
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


def read_language(body: object) -> Language | None:
    """The language of a payload, if it has one that can be read."""
    told = body.get("language") if isinstance(body, dict) else None
    return next((each for each in LANGUAGES if each == told), None)
