"""How long the pause after failures lasts."""

from __future__ import annotations

import time

import pytest

from zkbridge.machine.pause import Pause

#: Each step: what happens, and the seconds for which nothing may be tried after it.
FAILURES = [("fail", pause) for pause in (5, 10, 20, 40, 80, 160, 300, 300)]


@pytest.mark.parametrize(
    "steps",
    [
        [],
        FAILURES,
        [("fail", 5), ("fail", 10), ("succeed", 0), ("fail", 5)],
        [("extend", 7), ("fail", 5)],
        [("fail", 5), ("extend", 7), ("fail", 10)],
        [("fail", 5), ("fail", 10), ("extend", 10)],
        [("extend", 7), ("succeed", 0)],
    ],
    ids=[
        "at first",
        "failures",
        "a success between",
        "extended first",
        "extended",
        "extended by less",
        "extended, a success",
    ],
)
def test_the_pause_after_each_step(steps: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pause = Pause()
    assert pause.is_over
    for step, seconds in steps:
        begun = now[0]
        if step == "fail":
            assert pause.note_failure() == seconds
        elif step == "extend":
            pause.extend(7)
        else:
            pause.note_success()
        assert pause.is_over == (seconds == 0)
        now[0] = begun + seconds
        assert pause.is_over
        now[0] = begun


def test_failures_in_great_number_do_not_lengthen_it() -> None:
    pause = Pause()

    assert [pause.note_failure() for _ in range(2000)][-1] == 300


def test_it_may_begin_and_end_elsewhere_and_use_another_clock() -> None:
    now = [0.0]
    pause = Pause(60, 200, now=lambda: now[0])

    assert [pause.note_failure() for _ in range(4)] == [60, 120, 200, 200]
    now[0] = 199.9
    assert not pause.is_over
    now[0] = 200
    assert pause.is_over


def test_pauses_are_spread_and_have_a_rest() -> None:
    now = [0.0]
    pauses = [Pause(10, 20, spread=0.5, now=lambda: now[0]) for _ in range(50)]

    first, second = ([pause.note_failure() for pause in pauses] for _ in range(2))
    for pause in pauses:
        pause.note_success()
        pause.extend(8)
    left = [pause.left_s for pause in pauses]
    now[0] = 9.0

    assert all(5 <= each <= 10 for each in first)
    assert all(10 <= each <= 20 for each in second)
    assert all(4 <= each <= 8 for each in left)
    assert len(set(first)) > 1
    assert len(set(left)) > 1
    assert {pause.left_s for pause in pauses} == {0.0}
