"""A terminal's own counts: how many users, fingers and punches it holds, and how many fit."""

from __future__ import annotations

import struct
from typing import NamedTuple

#: Which of the 32-bit words in the answer to GET_FREE_SIZES (pyzk 0.9 `read_sizes`; a capture in fananimi/pyzk#111).
_PLACES = {
    "users": 4,
    "fingers": 6,
    "records": 8,
    "fingers_capacity": 14,
    "users_capacity": 15,
    "records_capacity": 16,
    "fingers_free": 17,
    "users_free": 18,
    "records_free": 19,
    "faces": 20,
    "faces_capacity": 22,
}


class Sizes(NamedTuple):
    """Counts and capacities; None is what the answer was too short to hold (fananimi/pyzk#76, #170, #215)."""

    users: int | None = None
    users_capacity: int | None = None
    users_free: int | None = None
    fingers: int | None = None
    fingers_capacity: int | None = None
    fingers_free: int | None = None
    records: int | None = None
    records_capacity: int | None = None
    records_free: int | None = None
    faces: int | None = None
    faces_capacity: int | None = None

    @classmethod
    def parse(cls, answer: bytes) -> Sizes:
        """What an answer holds; a negative count is none."""
        count = len(answer) // 4
        words = struct.unpack_from(f"<{count}i", answer)
        return cls(**{name: words[at] for name, at in _PLACES.items() if at < count and words[at] >= 0})

    @property
    def users_left(self) -> int | None:
        """How many more users fit, as the terminal says or as its capacity leaves; None where it tells neither."""
        if self.users_free is not None or self.users is None or not self.users_capacity:
            return self.users_free
        return max(0, self.users_capacity - self.users)

    def is_full(self, *, added: int = 0) -> bool:
        """Whether the terminal has no room for one more user, after so many were added since it counted."""
        if self.users_free is not None and self.users_capacity:
            return self.users_free - added <= 0
        if self.users is not None and self.users_capacity:
            return self.users + added >= self.users_capacity
        return False

    @property
    def fingers_full(self) -> bool:
        """Whether the terminal says that it has no room for one more finger."""
        if self.fingers_free is not None and self.fingers_capacity:
            return self.fingers_free <= 0
        return self.fingers is not None and bool(self.fingers_capacity) and self.fingers >= (self.fingers_capacity or 0)
