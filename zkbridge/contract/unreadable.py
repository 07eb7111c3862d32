"""Explains to the caller why the bytes of a payload are no JSON object."""

from __future__ import annotations

import codecs
import json

from zkbridge.contract.errors import BodyRequired
from zkbridge.contract.texts import shown


class NotJson(ValueError):
    """Something that Python's parser accepts and JSON does not: a duplicate key, NaN, Infinity."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(why)
        self.why = why
        self.text = text


def unreadable(payload: bytes, error: Exception) -> BodyRequired:
    """The answer to a payload on which the parser has raised an error; places count from 1."""
    if not payload.strip():
        return BodyRequired()
    if payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return BodyRequired("utf16")
    if payload.startswith(codecs.BOM_UTF8):
        return BodyRequired("bom")
    if b"\0" in payload and not isinstance(error, UnicodeDecodeError):
        return BodyRequired("nul", place=payload.index(b"\0") + 1)
    return _of_error(error)


def _of_error(error: Exception) -> BodyRequired:
    if isinstance(error, UnicodeDecodeError):
        return BodyRequired("utf8", place=error.start + 1)
    if isinstance(error, json.JSONDecodeError):
        return BodyRequired("json", line=error.lineno, column=error.colno)
    if isinstance(error, NotJson):
        return BodyRequired(error.why, text=shown(error.text))
    return BodyRequired("deep" if isinstance(error, RecursionError) else "number")


def no_object(value: object) -> BodyRequired:
    """The answer to JSON that is no object."""
    kinds = {list: "list", str: "text", bool: "truth", type(None): "null"}
    return BodyRequired(kinds.get(type(value), "figure"))
