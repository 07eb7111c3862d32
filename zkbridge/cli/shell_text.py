"""Checks that an argument is text in the encoding that Python assumes for the shell."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click


def require_text(given: Mapping[str, object]) -> None:
    """Raise UsageError for what a shell of another encoding has typed: Python marks such bytes as half surrogates."""
    for name, value in given.items():
        if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise not_text(name)


def not_text(name: str) -> click.UsageError:
    """The error for a value that is not text in the encoding of the shell."""
    encoding = sys.getfilesystemencoding()
    return click.UsageError(
        f"{name} is not text in {encoding}, the encoding of this shell: set LC_ALL to a locale of the encoding in which"
        " you type, such as es_ES.ISO-8859-1, or type in UTF-8"
    )
