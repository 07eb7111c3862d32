"""Punches as values."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

#: What a terminal's clock shows at its zero.
ZERO_HOUR = datetime(2000, 1, 1)  # noqa: DTZ001 - a terminal's clock has no time zone


class Punch(NamedTuple):
    """A person was at a terminal. `user_id` is None where the record has a uid only; the clock has no time zone.

    `status` is how the person was recognised (0 password, 1 finger, 2 card, 15 face), `punch` what for (0 in, 1 out,
    2 and 3 break, 4 and 5 overtime, 255 nothing): pyzk's names. `timestamp` is None where the record holds no date.
    """

    uid: int | None
    user_id: str | None
    timestamp: datetime | None
    status: int
    punch: int

    @property
    def is_empty(self) -> bool:
        """Whether it is a record without anything in it: a place in the log, but no punch.

        Some logs hold them (zeros where a record was written over or never finished).
        """
        nothing = not self.uid and self.user_id in (None, "", "0") and not self.status and not self.punch
        return nothing and self.timestamp == ZERO_HOUR


class Published(NamedTuple):
    """How far the log of the terminal with this serial number was published: how many of its records, from the first.

    `unsent` punches of them wait for the broker.
    """

    serial: str
    records: int
    unsent: int
