"""Formats a moment (seconds since 1970) for replies, for every date of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def moment(seconds: float) -> str:
    """ISO 8601 in UTC; the calendar's first or last moment, where UTC is beyond it.

    `datetime.timestamp` gives seconds for every date with an offset, and `datetime.fromtimestamp` raises for some of
    them: `0001-01-01T00:00:00+01:00`, which .NET sends for a date that was never set, is in the year 0 of UTC.
    """
    try:
        instant = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        instant = _FIRST if seconds < 0 else _LAST
    return instant.isoformat(timespec="seconds")
