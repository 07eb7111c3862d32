"""Punches in every layout that is known of."""

import struct
from datetime import datetime, timedelta

import pytest

from tests.captures import captured
from zkbridge.port.punches import Punch
from zkbridge.terminal.records.punches import in_order, parse_event, parse_log

#: 2018-06-25 17:50:35, in a record and in an event (adrobinoga/zk-protocol).
STAMP, WHEN, SIX = 0x2368B36B, datetime(2018, 6, 25, 17, 50, 35), bytes((18, 6, 25, 17, 50, 35))  # noqa: DTZ001 - a terminal's clock has no zone
#: The event that told of a punch, captured.
EVENT = captured.PACKETS["F19: punch"][8:]


def stamps(count: int) -> list[int]:
    """Times of punches, a minute apart, in the middle of a day."""
    return [0x2368B36B + 60 * number for number in range(count)]


LAYOUTS = ["40", "49", "16", "8", "8b"]
#: 31 February, as a terminal's clock can count it.
NO_DATE = (31 + 30) * 86400


def exactly(count: int) -> range:
    return range(count, count + 1)


def record(layout: str, uid: int, when: int, *, status: int = 1, state: int = 0) -> bytes:
    """A punch of user 1000 + uid in one of the layouts."""
    if layout in ("40", "49"):
        rest = b"\0\0\0\0\xff\0\0\0" + (b"\xff255\0\0\0\0\0" if layout == "49" else b"")
        return struct.pack("<H24sBIB", uid, b"%d" % (1000 + uid), status, when, state) + rest
    if layout == "16":
        return struct.pack("<IIBBHI", 1000 + uid, when, status, state, 0, 0)
    return (
        struct.pack("<HBIB", uid, status, when, state)
        if layout == "8"
        else struct.pack("<HBBI", uid, status, state, when)
    )


def test_a_captured_record_is_read() -> None:
    assert list(parse_log(captured.PUNCH, exactly(1)) or ()) == [Punch(13, "999111333", WHEN, 1, 0)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 5, 40, 200, 245])
@pytest.mark.parametrize("told", ["the count", "a count before and one after", "no count"])
def test_every_layout_is_known(layout: str, count: int, told: str) -> None:
    records = b"".join(record(layout, 1 + number % 60, when) for number, when in enumerate(stamps(count)))
    counts = {
        "the count": range(count, count + 1),
        "a count before and one after": range(count - 1, count + 2),
        "no count": None,
    }

    punches = parse_log(records, counts[told])

    assert [(punch.uid, punch.user_id) for punch in punches] == [
        {
            "40": (1 + number % 60, str(1001 + number % 60)),
            "49": (1 + number % 60, str(1001 + number % 60)),
            "16": (None, str(1001 + number % 60)),
            "8": (1 + number % 60, None),
            "8b": (1 + number % 60, None),
        }[layout]
        for number in range(count)
    ]
    assert punches[0].timestamp == WHEN
    assert {(punch.status, punch.punch) for punch in punches} == {(1, 0)}
    assert in_order(punches)


def test_a_record_without_a_date_is_kept() -> None:
    records = captured.PUNCH * 3 + captured.PUNCH[:27] + struct.pack("<I", (31 + 30) * 86400) + captured.PUNCH[31:]

    assert [punch.timestamp for punch in parse_log(records, exactly(4))] == [WHEN, WHEN, WHEN, None]


def test_an_empty_log_is_empty() -> None:
    assert parse_log(b"", exactly(0)) == []


@pytest.mark.parametrize("records", [bytes(22), b"\xff" * 40, b"\xff" * 22 * 3])
def test_records_of_no_known_layout_are_not_read(records: bytes) -> None:
    """An AK3750 has 22 bytes a record (fananimi/pyzk#41)."""
    assert parse_log(records, None) is None


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 3, 6, 20, 500])
@pytest.mark.parametrize("state", [0, 5, 15, 25, 101, 104, 200, 250, 255])
def test_a_punch_of_any_state_is_read_in_the_size_that_the_count_gives(layout: str, count: int, state: int) -> None:
    """Keys may be given any value from 0 to 250 (the manual of the P160)."""
    records = b"".join(record(layout, 1 + number, when, state=state) for number, when in enumerate(stamps(count)))

    punches = parse_log(records, exactly(count))

    if punches is None:  # the two layouts of 8 bytes, where few records say too little
        assert layout.startswith("8")
        assert state not in (0, 5, 255)
        assert count < 8
    else:
        assert [(punch.timestamp, punch.status, punch.punch) for punch in punches] == [
            (WHEN + timedelta(minutes=number), 1, state) for number in range(count)
        ]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("empty", "real"), [(200, 300), (1, 1), (3, 1), (500, 2), (1, 500)])
def test_empty_records_are_read_as_such_and_change_nothing(layout: str, empty: int, real: int) -> None:
    size = len(record(layout, 1, 0))
    records = bytes(size * empty) + b"".join(
        record(layout, 1 + number, when) for number, when in enumerate(stamps(real))
    )

    punches = parse_log(records, exactly(empty + real))

    assert [punch.is_empty for punch in punches] == [True] * empty + [False] * real
    assert [punch.timestamp for punch in punches[empty:]] == [WHEN + timedelta(minutes=n) for n in range(real)]


@pytest.mark.parametrize("layout", ["40", "49", "16"])
@pytest.mark.parametrize("count", [1, 2, 6, 7, 100])
def test_records_without_a_date_are_as_many_as_the_terminal_counts(layout: str, count: int) -> None:
    records = b"".join(record(layout, 1 + number, NO_DATE) for number in range(count))

    punches = parse_log(records, exactly(count))

    assert [punch.user_id for punch in punches] == [str(1001 + number) for number in range(count)]
    assert {punch.timestamp for punch in punches} == {None}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 6, 100])
@pytest.mark.parametrize("state", [0, 15, 250])
def test_without_a_count_no_row_is_invented(layout: str, count: int, state: int) -> None:
    records = b"".join(record(layout, 1 + number, when, state=state) for number, when in enumerate(stamps(count)))

    punches = parse_log(records, None)

    assert punches is None or [punch.timestamp for punch in punches] == [
        WHEN + timedelta(minutes=number) for number in range(count)
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shown", [0, 1, 100, 200, 250, 408, 499])
def test_a_part_of_a_log_is_not_read_as_the_whole(layout: str, shown: int) -> None:
    """A part of one layout may be as long as the whole in another: 200 of 500 records of 40 bytes, or 250 of 16."""
    records = b"".join(record(layout, 1 + number, when) for number, when in enumerate(stamps(shown)))

    assert parse_log(records, exactly(500)) is None


def test_records_that_two_layouts_of_one_size_read_as_well_are_not_read() -> None:
    """Neither has a date, and they say different things."""
    records = bytes.fromhex("0700 01 7cae02c1c6")

    assert parse_log(records, exactly(1)) is None


def test_punches_that_changed_places_are_out_of_order() -> None:
    first, second = (Punch(1, "1", WHEN.replace(second=second), 1, 0) for second in (1, 2))

    assert in_order([first, first, second])
    assert not in_order([second, first])
    assert not in_order([first, Punch(1, "1", None, 1, 0)])


class TestEvents:
    def test_a_captured_event_is_read(self) -> None:
        (punch,) = parse_event(EVENT)

        assert punch == Punch(None, "999111333", datetime(2018, 6, 25, 17, 41, 5), 1, 0)  # noqa: DTZ001 - as above

    @pytest.mark.parametrize("size", [32, 36, 37, 52, 61])
    def test_longer_forms_begin_alike(self, size: int) -> None:
        assert parse_event(EVENT.ljust(size, b"\x07")) == parse_event(EVENT)

    @pytest.mark.parametrize("size", [32, 36, 37, 52])
    def test_events_that_were_put_together_are_taken_apart(self, size: int) -> None:
        first, second = (struct.pack("<24sBB6s", pin, 1, 0, SIX).ljust(size, b"\0") for pin in (b"1", b"2"))

        assert [punch.user_id for punch in parse_event(first + second)] == ["1", "2"]

    @pytest.mark.parametrize("size", [10, 14])
    def test_old_events_carry_the_uid(self, size: int) -> None:
        data = struct.pack("<HBB6s", 7, 1, 0x11, SIX).ljust(size, b"\0")

        assert parse_event(data) == [Punch(7, None, WHEN, 1, 1)]

    def test_events_of_12_bytes_carry_the_user_id_as_a_number(self) -> None:
        assert parse_event(struct.pack("<IBB6s", 1001, 0, 1, SIX)) == [Punch(None, "1001", WHEN, 0, 1)]

    def test_an_event_without_a_date_is_kept(self) -> None:
        assert parse_event(struct.pack("<IBB6s", 1, 0, 1, b"\xff" * 6)) == [Punch(None, "1", None, 0, 1)]

    @pytest.mark.parametrize("size", [0, 1, 4, 8, 13, 33, 51])
    def test_what_is_no_punch_is_passed_over(self, size: int) -> None:
        assert parse_event(bytes(size)) == []
