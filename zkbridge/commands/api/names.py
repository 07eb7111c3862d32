"""The fields that are lists of names: devices and groups, user_ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator

from zkbridge.commands.api.rules import broken, described
from zkbridge.commands.api.text_fields import known_user_id
from zkbridge.contract.topics import DEVICE_ID

#: The most users, and the most targets, of one request.
MANY = 100


def _names(value: object, read: Callable[[object], str]) -> tuple[str, ...]:
    """A list, or a text with commas, as a command line has it."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= MANY:
        raise broken("names", most=MANY)
    names = tuple(read(each) for each in value)
    if len(set(names)) < len(names):
        raise broken("names", most=MANY)
    return names


def _target(value: object) -> str:
    if not isinstance(value, str) or DEVICE_ID.fullmatch(value.strip()) is None:
        raise broken("names", most=MANY)
    return value.strip()


def _targets(value: object) -> tuple[str, ...]:
    return _names(value, _target)


def _user_ids(value: object) -> tuple[str, ...]:
    return _names(value, known_user_id)


Targets = Annotated[
    tuple[str, ...],
    BeforeValidator(_targets),
    described(
        f"Devices and groups, 1 to {MANY}; a text with commas counts.",
        "array",
        "string",
        items={"type": "string"},
        examples=[["entrada"]],
    ),
]
UserIds = Annotated[
    tuple[str, ...],
    BeforeValidator(_user_ids),
    described(
        f"1 to {MANY} user_ids; a text with commas counts.",
        "array",
        "string",
        items={"type": ["string", "integer"]},
        examples=[["123", "124"]],
    ),
]
