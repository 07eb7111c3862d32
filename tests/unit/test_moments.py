"""Seconds since 1970 as a date, at both ends of the calendar."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkbridge.contract.moments import moment

OFFSETS = st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS))
def test_every_date_with_every_offset_can_be_shown(instant: datetime) -> None:
    assert moment(instant.timestamp()).endswith("+00:00")


@pytest.mark.parametrize(
    ("text", "seconds", "told"),
    [
        ("0001-01-01T00:00:00+01:00", -62135600400, "0001-01-01T00:00:00+00:00"),
        ("0001-01-01T00:00:00+00:00", -62135596800, "0001-01-01T00:00:00+00:00"),
        ("0001-01-01T00:00:00+23:59", -62135683140, "0001-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59+00:00", 253402300799, "9999-12-31T23:59:59+00:00"),
        ("9999-12-31T23:59:59-14:00", 253402351199, "9999-12-31T23:59:59+00:00"),
        ("2030-01-31T08:00:00-05:00", 1896094800, "2030-01-31T13:00:00+00:00"),
    ],
)
def test_the_ends_of_the_calendar(text: str, seconds: int, told: str) -> None:
    assert datetime.fromisoformat(text).timestamp() == seconds
    assert moment(seconds) == told


@pytest.mark.parametrize("seconds", [-1e300, 1e300, -1e15, 1e15])
def test_a_moment_beyond_the_calendar_is_shown_as_its_end(seconds: float) -> None:
    assert moment(seconds) in ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00")


def test_a_moment_is_shown_in_utc_to_the_second() -> None:
    assert moment(datetime(2030, 1, 31, 13, tzinfo=UTC).timestamp() + 0.9) == "2030-01-31T13:00:00+00:00"
