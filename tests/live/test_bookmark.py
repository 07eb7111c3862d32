"""How far a log was told, whatever becomes of it."""

import hashlib
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from zkbridge.attendance.bookmark import COMPARED, REMEMBERED, Bookmark, identity
from zkbridge.ledger.records import Place
from zkbridge.port.punches import Punch

NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone


def digest(*parts: Any) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def punch(minute: int, user_id: str = "1") -> Punch:
    return Punch(None, user_id, NINE + timedelta(minutes=minute), 1, 0)


def told(punches: list[Punch], count: int | None = None) -> Bookmark:
    """A bookmark behind these."""
    book = Bookmark(Place("SN", 0), digest)
    traces = tuple(book.trace(each) for each in punches)[-REMEMBERED:]
    return Bookmark(Place("SN", len(punches) if count is None else count, traces), digest)


LOG = [punch(minute, str(minute % 3)) for minute in range(300)]


@pytest.mark.parametrize("known", [0, 1, 5, COMPARED, 200, 300])
def test_what_was_told_is_not_new(known: int) -> None:
    assert told(LOG[:known]).new_in(LOG) == LOG[known:]


@pytest.mark.parametrize("count", [0, 3, 199, 201, 5000])
def test_a_wrong_count_does_not_matter_where_the_punches_stand(count: int) -> None:
    assert told(LOG[:200], count=count).new_in(LOG) == LOG[200:]


@pytest.mark.parametrize("dropped", [1, 100, 199])
def test_a_log_that_lost_its_oldest_goes_on_where_it_was(dropped: int) -> None:
    assert told(LOG[:200]).new_in(LOG[dropped:]) == LOG[200:]


def test_another_log_is_all_new() -> None:
    other = [punch(1000 + minute) for minute in range(400)]

    assert told(LOG).new_in(other) == other


def test_a_log_that_was_cleared_and_told_of_since_has_only_its_end_new() -> None:
    since = [punch(1000 + minute) for minute in range(5)]

    assert told([*LOG, *since[:3]]).new_in(since) == since[3:]


def test_names_that_changed_with_the_users_do_not_make_a_punch_new() -> None:
    renamed = [Punch(None, "999", each.timestamp, 1, 0) if each.user_id == "2" else each for each in LOG]

    assert told(LOG[:200]).new_in(renamed) == renamed[200:]


def test_a_punch_that_the_terminal_did_not_record_hides_nothing() -> None:
    odd = [*LOG[:190], punch(9999), *LOG[190:200]]

    assert told(odd).new_in(LOG) == LOG[200:]


def test_equal_punches_are_counted_through() -> None:
    same = [punch(1)] * 5
    book = told(same[:3])

    assert len(book.new_in(same)) == 2
    assert book.knows(punch(1))
    assert not book.knows(punch(2))
    assert [identity("p", punch(1), book.trace(punch(1)).ordinal)[-1] for _ in range(2)] == ["3", "4"]


def test_what_is_long_ago_is_forgotten() -> None:
    book = told([])
    for minute in range(REMEMBERED + 1):
        book.trace(punch(minute))

    assert not book.knows(punch(0))
    assert book.knows(punch(1))


def test_a_time_that_is_none_has_an_id_all_the_same() -> None:
    assert identity("p", Punch(7, "7", None, 1, 255), 2) == "p/-/7/1/255/2"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_log_is_like_each_punch_is_new_once(seed: int) -> None:
    """Few people, few minutes, a clock that jumps: many punches are equal."""
    random = Random(seed)
    log, book, heard = [], told([]), []
    for _ in range(30):
        log += [punch(random.randrange(-30, 30), random.choice("12")) for _ in range(random.randrange(40))]
        new = book.new_in(log)
        traces = tuple(book.trace(each) for each in new)
        heard += [identity("p", each, trace.ordinal) for each, trace in zip(new, traces, strict=True)]
        book.place = Place("SN", len(log), traces)

    assert len(heard) == len(log) == len(set(heard))
    assert [each.rpartition("/")[0] for each in heard] == [identity("p", each, 0).rpartition("/")[0] for each in log]
