"""What the bridge has read at a terminal, and reads again from a file that somebody else may have changed meanwhile."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated

from pydantic import AfterValidator, Field

from zkbridge.commands.api.fields import ValidMoment


def _base64(value: str) -> str:
    b64decode(value, validate=True)  # binascii.Error is a ValueError
    return value


def _encoding(value: str) -> str:
    try:
        "a".encode(value)
    except LookupError:
        raise ValueError(value) from None
    return value


Base64 = Annotated[str, AfterValidator(_base64)]
Byte = Annotated[int, Field(ge=0, le=0xFF)]
EncodingName = Annotated[str, AfterValidator(_encoding)]
StoredMoment = Annotated[ValidMoment, Field(min_length=1)]
