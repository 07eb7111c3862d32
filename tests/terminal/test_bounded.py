"""What is read of a terminal is bounded: events by number and bytes, rows by what is asked of them."""

import itertools
from typing import Any

import pytest

from zkbridge.commands.chosen import Chosen
from zkbridge.terminal.protocol.event_queue import MAX_BYTES, MAX_EVENTS, EventQueue
from zkbridge.terminal.protocol.tables import records_of
from zkbridge.terminal.protocol.wire import Frame
from zkbridge.terminal.records.decoded import Decoded


def event(number: int, size: int = 52) -> Frame:
    return Frame(500, 1, number, bytes(size))


@pytest.mark.parametrize(
    ("count", "size", "kept"), [(10, 52, 10), (MAX_EVENTS + 5, 52, MAX_EVENTS), (1000, 4096, MAX_BYTES // 4096)]
)
def test_the_oldest_events_are_dropped_beyond_a_number_or_bytes(count: int, size: int, kept: int) -> None:
    queue = EventQueue()

    queue.extend(event(number % 65535, size) for number in range(count))

    assert len(queue) == len(list(queue)) == kept
    assert queue.popleft().reply_id == count - kept


def test_an_emptied_queue_takes_as_much_as_a_new_one() -> None:
    queue = EventQueue()
    for _ in range(3):
        queue.extend(itertools.repeat(event(1, 4096), MAX_BYTES // 4096))
        queue.clear()
    queue.extend(itertools.repeat(event(1, 4096), MAX_BYTES // 4096))

    assert len(queue) == MAX_BYTES // 4096


def test_records_are_decoded_when_they_are_asked_for() -> None:
    asked = []

    def decode(record: Any) -> Any:
        asked.append(record)
        return record.decode()

    rows = Decoded(memoryview(b"aabbccddee"), 2, decode)

    assert len(rows) == 5
    assert asked == []
    assert (rows[0], rows[-1]) == ("aa", "ee")
    assert list(rows[1:3]) == ["bb", "cc"]
    assert list(rows[1:][1:]) == ["cc", "dd", "ee"]
    assert list(rows[4:2]) == []
    assert list(rows.mapped(str.upper)[3:]) == ["DD", "EE"]
    with pytest.raises(IndexError):
        rows[5]
    with pytest.raises(ValueError, match="step"):
        rows[::2]


def test_chosen_rows_keep_their_order() -> None:
    rows = Chosen(range(10, 20), lambda row: row % 3 == 0)

    assert list(rows) == [12, 15, 18]
    assert (len(rows), rows[1]) == (3, 15)


def test_the_records_of_a_view_are_no_copy() -> None:
    raw = bytearray(b"\x03\0\0\0abc")

    records = records_of(memoryview(raw), 1)
    raw[4] = ord("x")

    assert bytes(records) == b"xbc"
