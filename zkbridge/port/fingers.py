"""Fingers as values: one that a terminal knows, and the steps of enrolling one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

_MARK_BYTES = 16
#: What some commands read after a template (see `Finger.mark`).
TAIL = b"\0\1"

Outcome = Literal["stored", "duplicate", "timeout", "failed", "cancelled"]


@dataclass(frozen=True)
class Finger:
    """One finger that a terminal knows: `index` 0 to 9, `flag` 0 invalid, 1 valid, 3 under duress."""

    uid: int
    index: int
    flag: int
    template: bytes = field(repr=False)

    @property
    def valid(self) -> bool:
        """Whether the terminal accepts the finger."""
        return self.flag != 0

    def is_template(self, template: bytes | None) -> bool:
        """Whether a terminal that shows this holds just this finger; what `mark` leaves out does not count."""
        return template is not None and template.rstrip(TAIL) == self.template.rstrip(TAIL)

    def mark(self, salt: bytes) -> str:
        """A keyed digest that identifies this template without revealing it; `salt` is used for nothing else.

        Some commands read a template with zero bytes or one byte 01 after it, which do not count.
        """
        return mark(self.template, salt)


def mark(template: bytes, salt: bytes) -> str:
    """The mark of a template, as `Finger.mark`."""
    return hashlib.blake2b(template.rstrip(TAIL), key=salt, digest_size=_MARK_BYTES).hexdigest()


class Ready(NamedTuple):
    """The terminal asks for the finger."""


class Down(NamedTuple):
    """A finger is on the sensor."""


class Sample(NamedTuple):
    """The terminal has judged one touch; it wants three good ones."""

    good: bool


class Ended(NamedTuple):
    """The enrolment is over. `stored` is said only when the terminal holds the finger."""

    outcome: Outcome


Step = Ready | Down | Sample | Ended
