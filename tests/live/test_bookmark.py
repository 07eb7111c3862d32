"""How far a log was told, whatever becomes of it."""

import hashlib
from collections import Counter
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
def test_a_punch_that_had_an_event_is_not_new(known: int) -> None:
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


def test_of_a_cleared_log_only_punches_without_an_event_are_new() -> None:
    since = [punch(1000 + minute) for minute in range(5)]

    assert told([*LOG, *since[:3]]).new_in(since) == since[3:]


HISTORY = [punch(minute, "9") for minute in range(-300, 0)]


@pytest.mark.parametrize("new", [0, 1, 5, COMPARED, 200])
@pytest.mark.parametrize("heard", [0, 1, 5])
def test_old_punches_are_not_new_after_their_log_looked_empty(new: int, heard: int) -> None:
    """At the first connection the end of the log was remembered; since, no more than a few were published."""
    book = told([*HISTORY[-COMPARED:], *LOG[:heard]], count=heard)

    assert book.new_in(HISTORY + LOG[: heard + new]) == LOG[heard : heard + new]


@pytest.mark.parametrize("length", [1, 250, 300, 500])
def test_a_log_that_was_cleared_before_a_first_punch_was_published_is_all_new(length: int) -> None:
    since = [punch(1000 + minute) for minute in range(length)]

    assert told(HISTORY[-COMPARED:], count=300).new_in(since) == since


@pytest.mark.parametrize("history", [0, 1, 300])
@pytest.mark.parametrize(
    ("total", "at", "missing"),
    [
        *((total, 0, 1) for total in (1, 2, 5, 100, 300)),
        *((total, 1, 1) for total in (3, 5, 100, 300)),
        *((total, total // 2, 1) for total in (5, 100, 300)),
        *((total, total - 2, 1) for total in (3, 5, 100, 300)),
        *((total, total - 1, 1) for total in (2, 5, 100, 300)),
        *((total, 0, 2) for total in (3, 5, 100, 300)),
        *((total, total - 4, 3) for total in (4, 5, 100, 300)),
    ],
)
def test_a_punch_without_an_event_is_new_although_a_later_one_had_an_event(
    history: int, total: int, at: int, missing: int
) -> None:
    since = LOG[:total]
    heard = since[:at] + since[at + missing :]
    log = HISTORY[:history] + since

    assert told(heard, count=history + len(heard)).new_in(log) == since[at : at + missing]


def test_two_punches_without_an_event_at_two_places_are_new() -> None:
    heard = [each for number, each in enumerate(LOG) if number not in (10, 290)]

    assert told(heard).new_in(LOG) == [LOG[10], LOG[290]]


def test_of_more_punches_without_an_event_than_with_one_each_is_new_once() -> None:
    heard = [*LOG[:3], LOG[9]]

    assert told(heard, count=304).new_in(HISTORY + LOG[:11]) == [*LOG[3:9], LOG[10]]


@pytest.mark.parametrize("without", range(4))
def test_of_equal_punches_as_many_are_new_as_had_no_event(without: int) -> None:
    log = [*LOG[:20], punch(50), punch(51), punch(50), punch(52), *LOG[100:110]]
    heard = [each for number, each in enumerate(log) if number != 20 + without]

    assert told(heard).new_in(log) == [log[20 + without]]


@pytest.mark.parametrize("missing", [1, 3])
def test_the_first_of_a_cleared_log_may_be_without_an_event(missing: int) -> None:
    since = [punch(1000 + minute) for minute in range(missing + 1)]

    assert told([*LOG, since[-1]], count=1).new_in(since) == since[:-1]


@pytest.mark.parametrize("missing", [1, 4])
def test_first_punches_of_a_cleared_log_are_new_after_it_was_counted_as_empty(missing: int) -> None:
    since = [punch(1000 + minute) for minute in range(missing + 1)]

    assert told([*LOG, since[-1]], count=0).new_in(since) == since[:-1]


@pytest.mark.parametrize(("before", "missing", "total"), [(4, 1, 7), (4, 3, 7), (1, 1, 2), (2, 2, 9)])
def test_first_punches_of_a_log_are_new_that_was_cleared_and_counts_as_many_as_before(
    before: int, missing: int, total: int
) -> None:
    """Events that came since have brought the count to that of the log: only the records show that it is another."""
    since = [punch(1000 + minute) for minute in range(total)]

    assert told([*LOG[:before], *since[missing:]], count=total).new_in(since) == since[:missing]


@pytest.mark.parametrize("missing", [1, 3])
def test_first_punches_of_a_terminal_are_new_although_its_log_looked_empty_at_a_later_event(missing: int) -> None:
    assert told([LOG[missing]], count=0).new_in(LOG[: missing + 1]) == LOG[:missing]


def test_a_log_that_looked_short_does_not_make_old_punches_new() -> None:
    """They were in it before those that were remembered at the first connection."""
    assert told(LOG[-COMPARED:], count=0).new_in(LOG) == []


@pytest.mark.parametrize("hidden", [1, 3])
def test_old_punches_are_not_new_after_a_log_was_read_that_did_not_show_those_of_the_last_events(hidden: int) -> None:
    """Their events came while it was read: they are remembered, and the count of that reading is without them."""
    book = told(LOG[-COMPARED - hidden :], count=len(LOG) - hidden)
    assert book.new_in(LOG) != []

    book.note_uncounted(hidden)

    assert book.new_in(LOG) == []
    book.note_uncounted(0)
    assert book.new_in(LOG) != []


@pytest.mark.parametrize("before", [3, 64, 300, 1200])
@pytest.mark.parametrize("pairs", [1, 4, 40])
def test_the_first_of_a_cleared_log_is_new_although_the_count_is_still_that_of_the_old_log(
    before: int, pairs: int
) -> None:
    """The log was cleared on an open connection, and every other punch since had an event, which was counted on."""
    since = [punch(1000 + minute) for minute in range(2 * pairs)]

    book = told([*(HISTORY * 4)[:before], *since[1::2]], count=before + pairs)

    assert book.new_in(since) == since[::2]


def test_a_log_that_lost_its_oldest_has_a_punch_without_an_event() -> None:
    assert told(LOG[:150] + LOG[151:200]).new_in(LOG[100:]) == [LOG[150], *LOG[200:]]


def test_a_punch_whose_record_differs_from_its_event_is_not_new() -> None:
    log = [*LOG[:150], punch(9999), *LOG[151:200]]

    assert told(LOG[:200]).new_in(log) == []


def test_after_a_late_punch_the_place_is_that_of_the_log_again() -> None:
    book = told([*LOG[:198], LOG[199], LOG[198]])
    again = Bookmark(Place("SN", 200, book.in_order_of(LOG[:200])), digest)

    assert book.new_in(LOG[:210]) == LOG[200:210]  # the bridge may have ended before they were put in order
    assert again.place.traces == told(LOG[:200]).place.traces
    assert again.continues(LOG[200 - COMPARED : 210])


def test_of_equal_punches_the_highest_ordinal_is_that_of_the_last() -> None:
    log = [punch(1), punch(2), punch(1), punch(3)]
    book = told([punch(2), punch(1), punch(3), punch(1)])
    again = Bookmark(Place("SN", 4, book.in_order_of(log)), digest)

    assert [trace.ordinal for trace in again.place.traces] == [0, 0, 1, 0]
    assert again.trace(punch(1)).ordinal == 2


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


@pytest.mark.parametrize("seed", range(12))
def test_whichever_events_are_missing_each_punch_is_published_once(seed: int) -> None:
    """Events are missing at random, people punch in the same minute, and the oldest half of the log is lost."""
    random = Random(seed)
    before = [punch(minute - 500, "9") for minute in range(random.choice([0, 5, 300]))]
    log, book = list(before), Bookmark(Place("SN", len(before)), digest)
    heard: list[str] = []
    everything: list[Punch] = []
    minute = 0
    for number in range(60):
        for _ in range(random.randrange(1, 12)):
            minute += random.randrange(3)
            log.append(punch(minute, random.choice("123")))
            everything.append(log[-1])
            if random.random() < 0.8:
                heard.append(identity("p", log[-1], book.trace(log[-1]).ordinal))
                book.place = Place("SN", book.place.count + 1)
        if number == 40:
            del log[: len(log) // 2]
        heard += [identity("p", each, book.trace(each).ordinal) for each in book.new_in(log)]
        book = Bookmark(Place("SN", len(log), book.in_order_of(log)), digest)

    wanted = Counter(identity("p", each, 0).rpartition("/")[0] for each in everything)
    assert len(heard) == len(set(heard))
    assert Counter(each.rpartition("/")[0] for each in heard) == wanted
