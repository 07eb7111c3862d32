"""Who is let in at a moment, and what is due: every order of the two dates and of now, and the clock's odd hours."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from zkbridge.contract.validity import LATE_S, Due, Validity, due, instant, is_blocked, next_instant, to_come

ZONE = "America/Lima"
EARLY, MIDDLE, END = "2030-01-01T08:00:00", "2030-01-15T12:00:00", "2030-01-31T18:00:00"


def at(moment: str, zone: str = ZONE) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()


#: From, until, now: whether the user is blocked, the moment that is due (and what is left), the moments to come.
DECISIONS = [
    (None, None, MIDDLE, False, None, None, (None, None)),
    (END, None, MIDDLE, True, None, None, (END, None)),
    (EARLY, None, MIDDLE, False, "valid_from", (None, None), (None, None)),
    (None, END, MIDDLE, False, None, None, (None, END)),
    (None, EARLY, MIDDLE, True, "valid_until", (None, None), (None, None)),
    (EARLY, END, MIDDLE, False, "valid_from", (None, END), (None, END)),
    (MIDDLE, END, EARLY, True, None, None, (MIDDLE, END)),
    (EARLY, MIDDLE, END, True, "valid_until", (None, None), (None, None)),
    (MIDDLE, None, MIDDLE, False, "valid_from", (None, None), (None, None)),
    (None, MIDDLE, MIDDLE, True, "valid_until", (None, None), (None, None)),
]


@pytest.mark.parametrize(("valid_from", "valid_until", "now", "blocked", "reason", "left", "coming"), DECISIONS)
def test_the_state_and_what_is_due_follow_from_the_two_dates(
    valid_from: str | None,
    *,
    valid_until: str | None,
    now: str,
    blocked: bool,
    reason: str | None,
    left: tuple[str | None, str | None] | None,
    coming: tuple[str | None, str | None],
) -> None:
    validity = Validity(valid_from, valid_until)

    assert is_blocked(validity, at(now), ZONE) is blocked
    assert to_come(validity, at(now), ZONE) == coming
    found = due(validity, at(now), ZONE)
    if reason is None:
        assert found is None
        return
    assert found is not None
    assert found.blocked is blocked
    assert (found.reason, found.moment, found.left) == (reason, getattr(validity, reason), left)


def test_after_what_was_due_nothing_is_due_until_the_next_moment() -> None:
    validity = Validity(EARLY, END)
    first = due(validity, at(EARLY), ZONE)
    assert first is not None
    assert next_instant(validity, ZONE) == at(EARLY)
    assert due(first.left, at(EARLY), ZONE) is None
    assert next_instant(first.left, ZONE) == at(END)
    last = due(first.left, at(END), ZONE)
    assert last == Due(blocked=True, reason="valid_until", moment=END, is_late=False, left=Validity())
    assert next_instant(last.left, ZONE) is None


@pytest.mark.parametrize(("after", "late"), [(0.0, False), (LATE_S, False), (LATE_S + 1, True)])
@pytest.mark.parametrize("validity", [Validity(valid_from=MIDDLE), Validity(valid_until=MIDDLE)])
def test_what_is_done_a_minute_after_its_moment_is_late(validity: Validity, after: float, *, late: bool) -> None:
    found = due(validity, at(MIDDLE) + after, ZONE)

    assert found is not None
    assert found.is_late is late


def test_an_hour_that_the_clock_shows_twice_counts_the_first_time() -> None:
    # In New York the clock went back from 02:00 to 01:00 on 3 November 2030, at 06:00 UTC.
    assert (
        instant("2030-11-03T01:30:00", "America/New_York") == datetime.fromisoformat("2030-11-03T05:30:00Z").timestamp()
    )
    second = datetime.fromisoformat("2030-11-03T06:10:00Z").timestamp()
    assert is_blocked(Validity(valid_until="2030-11-03T01:30:00"), second, "America/New_York")


def test_an_hour_that_the_clock_skips_counts_when_as_much_time_has_passed() -> None:
    # In New York the clock went from 02:00 to 03:00 on 10 March 2030, at 07:00 UTC.
    assert (
        instant("2030-03-10T02:30:00", "America/New_York") == datetime.fromisoformat("2030-03-10T07:30:00Z").timestamp()
    )


def test_without_a_zone_the_machine_s_own_counts() -> None:
    assert instant(MIDDLE, None) == datetime.fromisoformat(MIDDLE).astimezone().timestamp()
