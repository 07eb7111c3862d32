"""How one switch is declared: its default, its meaning, its source and the values that it takes."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def switch(default: Any, meaning: str, *, source: str, choices: tuple[str, ...] = (), above: float | None = 0) -> Any:
    """A switch with a default.

    `source` is an issue of fananimi/pyzk (`#57`), another repository, or `[?]` where no source is known and the default
    is a choice. `choices` are the texts that it takes; one that ends with `-` takes a number after it. A number may not
    be below `above`.
    """
    return field(default=default, metadata=_about(meaning, source, choices, above))


def numbers(meaning: str, *, source: str) -> Any:
    """A switch that holds numbers by name; empty by default."""
    return field(default_factory=dict, metadata=_about(meaning, source, (), 0))


def _about(meaning: str, source: str, choices: tuple[str, ...], above: float | None) -> dict[str, Any]:
    return {"meaning": meaning, "source": source, "choices": choices, "above": above}
