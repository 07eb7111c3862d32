"""Lets a field report which rule a value breaks, and which values it accepts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from zkbridge.contract.errors import MAX_FAULTS, FieldFault
from zkbridge.contract.texts import shown


def broken(rule: str, **facts: Any) -> PydanticCustomError:
    """The fault that `faults_of` turns into a FieldFault."""
    return PydanticCustomError("field", "{rule}", {"rule": rule, "facts": facts})


def described(description: str, *types: str, **rules: Any) -> WithJsonSchema:
    """What the validator beside it takes, for the description that machines read."""
    kinds: str | list[str] = types[0] if len(types) == 1 else list(types)
    return WithJsonSchema({"type": kinds, "description": description, **rules})


def faults_of(error: ValidationError, known: Iterable[str]) -> list[FieldFault]:
    """The faults that pydantic found, in our words.

    No more than a reply names: to look for the name that was meant takes a while for each.
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
