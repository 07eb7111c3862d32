"""For how long a terminal counts as disabled."""

import pytest

from zkbridge.terminal import disabled_time
from zkbridge.terminal.disabled_time import DisabledTime


class Clock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(disabled_time, "now", lambda: clock.now)
    return clock


@pytest.mark.parametrize(
    ("seconds", "later", "confirmed", "total"),
    [
        (10, 3, True, 3),
        (10, 3, False, 10),
        (10, 12, False, 12),
        (None, 3, True, 3),
        (None, 3, False, 3),
    ],
)
def test_an_end_that_is_not_confirmed_counts_all_the_time_that_was_asked_for(
    clock: Clock, seconds: int | None, later: int, confirmed: bool, total: int
) -> None:
    disabled = DisabledTime()
    disabled.begin(clock.now, seconds)
    clock.now += later

    disabled.end() if confirmed else disabled.give_up()

    assert disabled.total == total


@pytest.mark.parametrize(("seconds", "wanted", "lasts"), [(10, 9, True), (10, 10, False), (None, 1000, True)])
def test_a_time_lasts_until_its_end(clock: Clock, seconds: int | None, wanted: int, lasts: bool) -> None:
    disabled = DisabledTime()
    disabled.begin(clock.now, seconds)

    assert disabled.lasts(wanted) is lasts


@pytest.mark.parametrize(
    ("later", "unbroken", "so_far", "total"),
    [(9, True, 9, 0), (10, False, 0, 10)],
)
def test_a_time_that_is_renewed_too_late_has_a_gap(
    clock: Clock, later: int, unbroken: bool, so_far: int, total: int
) -> None:
    disabled = DisabledTime()
    disabled.begin(clock.now, 10)
    since, until = disabled.since, disabled.until
    clock.now += later
    disabled.begin(clock.now, 10)

    assert disabled.renewed(since, until) is unbroken
    assert (disabled.so_far(), disabled.total) == (so_far, total)
