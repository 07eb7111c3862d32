"""The fields that are text: what counts as a user_id, a name, a PIN."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from zkbridge.commands.api.rules import broken, described
from zkbridge.contract.characters import Unseen, id_spelling, one_spelling, unseen_in_id, unseen_in_name


def _plain(text: str) -> str:
    # Controls, and half a surrogate pair, which JSON can spell and no encoding can hold.
    if any(sign < " " or "\x7f" <= sign <= "\x9f" or "\ud800" <= sign <= "\udfff" for sign in text):
        raise broken("control")
    return text


def _visible(text: str, unseen: Unseen | None) -> str:
    if unseen is not None:
        raise broken("unseen", point=f"U+{ord(unseen.sign):04X}", place=unseen.place)
    return text


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: object) -> str:
    if not isinstance(value, str) and not _is_integer(value):
        raise broken("text")
    return _plain(str(value))


def _new_user_id(value: object) -> str:
    text = id_spelling(_filled(_text(value)))
    return _visible(text, unseen_in_id(text))


def known_user_id(value: object) -> str:
    """A user_id of somebody on a terminal, trimmed. Raises what pydantic takes for a fault."""
    # As it is: a user who is on the terminal under an odd user_id must be found by it.
    return _filled(_text(value))


def _written_name(value: object) -> str:
    if not isinstance(value, (str, Decimal)) and not _is_integer(value):
        raise broken("text_or_number")
    return one_spelling(_filled(_plain(str(value))))


def _name(value: object) -> str:
    text = _written_name(value)
    return _visible(text, unseen_in_name(text))


def _password(value: object) -> str:
    text = id_spelling(_text(value))
    return _visible(text, unseen_in_id(text))


def _filled(text: str) -> str:
    text = text.strip()
    if not text:
        raise broken("empty")
    return text


NewUserId = Annotated[
    str,
    BeforeValidator(_new_user_id),
    described(
        "Trimmed, not empty, no control or invisible characters; digits of any script become 0 to 9.",
        "string",
        "integer",
        examples=["123"],
    ),
]
UserId = Annotated[
    str,
    BeforeValidator(known_user_id),
    described("Trimmed, not empty, no control characters.", "string", "integer", examples=["123"]),
]
Name = Annotated[
    str,
    BeforeValidator(_name),
    described(
        "Trimmed, not empty, no control characters, none that no terminal can show.",
        "string",
        "number",
        examples=["Juan Perez"],
    ),
]
PartOfName = Annotated[
    str,
    BeforeValidator(_written_name),
    described("Trimmed, not empty, no control characters.", "string", "number", examples=["Juan Perez"]),
]
Password = Annotated[
    str,
    BeforeValidator(_password),
    described(
        "A PIN; digits of any script become 0 to 9. Never in a reply or a log.",
        "string",
        "integer",
        format="password",
        examples=["1234"],
    ),
]
