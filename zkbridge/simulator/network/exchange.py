"""An answer as values: its frames, and the bytes that leave together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Part:
    """One frame of an answer; `session` replaces the session id in its header."""

    code: int
    data: bytes = b""
    session: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """All frames that answer one request; `prepare_s` is work before them, `then` what follows them."""

    parts: tuple[Part, ...]
    bulk: bool = False
    prepare_s: float = 0.0
    then: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that leave together, a segment or a datagram, `pause` seconds after what left before or later."""

    data: bytes
    pause: float = 0.0
