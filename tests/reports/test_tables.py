"""What a report understands of tables without guessing."""

from __future__ import annotations

import struct

import pytest

from zkbridge.terminal.report import tables

MARCH_2026 = 0x33222200


def rows(layout: str, state: int, step: int = 1020) -> bytes:
    """Twenty punches, each `step` seconds later."""
    times = [MARCH_2026 + step * place for place in range(20)]
    if layout == "8":
        return b"".join(struct.pack("<HBIB", 7, 1, when, state) for when in times)
    return b"".join(struct.pack("<HBBI", 7, 1, state, when) for when in times)


def test_the_time_of_an_8_byte_punch_is_found_by_its_high_byte() -> None:
    assert tables.time_place(rows("8", 0)) == 3
    assert tables.time_place(rows("8b", 0)) == 4
    assert tables.time_place(rows("8b", 255)) == 4


def test_where_both_places_can_hold_a_time_none_is_chosen() -> None:
    assert tables.time_place(rows("8", 0x20)) is None
    assert tables.time_place(b"") is None
    assert tables.time_place(bytes(80)) is None


def test_the_size_of_a_user_record_is_decided_by_length_and_count_alone() -> None:
    assert tables.user_record(504, 7) == 72
    assert tables.user_record(504, 18) == 28
    assert tables.user_record(504, 8) is None
    assert tables.user_record(0, 0) is None
    assert tables.user_record(120, 1) is None


def test_a_table_that_is_cut_keeps_whole_records() -> None:
    sizes = bytes(16) + (100).to_bytes(4, "little") + bytes(60)
    read = (7200).to_bytes(4, "little") + bytes(1000)

    assert tables.whole_records(tables.USERS, read, sizes) == 4 + 13 * 72
    assert tables.whole_records(tables.USERS, read + bytes(6200), sizes) == 7204


@pytest.mark.parametrize("read", [b"", b"\0\0", bytes(4), (7200).to_bytes(4, "little")])
@pytest.mark.parametrize("table", [tables.USERS, tables.TEMPLATES, tables.PUNCHES])
def test_a_table_that_is_cut_before_its_first_record_is_kept_as_it_is(table: tables.Table, read: bytes) -> None:
    assert tables.whole_records(table, read, (100).to_bytes(4, "little") * 20) == len(read)
