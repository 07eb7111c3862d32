"""Values that a terminal reports: what it is, and its own counts."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Sizes(NamedTuple):
    """Counts and capacities; None is what the terminal did not report."""

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

    @property
    def users_left(self) -> int | None:
        """How many more users fit, as the terminal reports or as its capacity leaves; None where it reports neither."""
        if self.users_free is not None or self.users is None or not self.users_capacity:
            return self.users_free
        return max(0, self.users_capacity - self.users)

    @property
    def fingers_left(self) -> int | None:
        """How many more fingers fit, as `users_left`."""
        if self.fingers_free is not None or self.fingers is None or not self.fingers_capacity:
            return self.fingers_free
        return max(0, self.fingers_capacity - self.fingers)

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


class ClockReading(NamedTuple):
    """What a terminal's clock showed, without a time zone and in whole seconds, at `at` of the bridge's (Unix time)."""

    shown: datetime
    at: float


class Info(NamedTuple):
    """What a terminal says of itself; "" and None are what it would not say, or was not asked."""

    serial_number: str = ""
    device_name: str = ""
    firmware: str = ""
    platform: str = ""
    mac: str = ""
    sizes: Sizes = Sizes()
    clock: ClockReading | None = None

    def __str__(self) -> str:
        users = "" if self.sizes.users is None else f"{self.sizes.users} users"
        if users and self.sizes.users_capacity:
            users = f"{self.sizes.users} of {self.sizes.users_capacity} users"
        facts = (self.device_name, self.serial_number, self.firmware, users)
        return ", ".join(fact for fact in facts if fact)
