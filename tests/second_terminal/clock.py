"""Times as terminals write them (facts: 3.4)."""

from __future__ import annotations

from datetime import datetime


def encode(moment: datetime) -> int:
    """Seconds in a calendar whose months all have 31 days."""
    days = ((moment.year % 100) * 12 + moment.month - 1) * 31 + moment.day - 1
    return days * 86400 + moment.hour * 3600 + moment.minute * 60 + moment.second


def decode(value: int) -> datetime:
    """Raise ValueError for a day that its month lacks."""
    days, seconds = divmod(value, 86400)
    months, day = divmod(days, 31)
    year, month = divmod(months, 12)
    return datetime(2000 + year, month + 1, day + 1, seconds // 3600, seconds // 60 % 60, seconds % 60)  # noqa: DTZ001  a terminal knows no zone


def in_event(moment: datetime) -> bytes:
    """The six bytes of an event: year from 2000, month, day, hour, minute, second."""
    return bytes((moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute, moment.second))
