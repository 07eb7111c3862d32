"""Frames, checksums and times; captured bytes are in tests/captures."""

# ruff: noqa: DTZ001  a terminal knows no time zone

import random
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captures import captured
from tests.simulator.raw import TOP, packed, summed
from zkbridge.simulator.wire import frames as wire


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=300))
def test_any_packet_has_the_standard_checksum(command: int, session: int, reply_id: int, data: bytes) -> None:
    packet = wire.Frame(command, session, reply_id, data).packet()

    assert summed(packet) == 0xFFFF
    assert packet == packed(command, session, reply_id, data)


def test_a_wrong_checksum_is_noticed() -> None:
    good = captured.PACKETS["pyzk: CONNECT"]

    assert not wire.parse_packet(good[:2] + b"\x18" + good[3:]).intact


def test_a_key_whose_sum_overflows_is_scrambled_too() -> None:
    assert len(wire.scramble_key(0xFFFFFFFF, 0xFFFF, 50)) == 4


def test_the_highest_time_is_in_2133() -> None:
    assert wire.decode_time(0xFFFFFFFF).year == 2133


def test_a_slot_that_no_calendar_has_is_no_time() -> None:
    thirtieth_of_february = ((26 * 12 + 1) * 31 + 29) * 86400

    with pytest.raises(ValueError, match="day"):
        wire.decode_time(thirtieth_of_february)


def test_the_time_of_an_event_has_six_bytes() -> None:
    assert wire.event_time(datetime(2018, 6, 25, 17, 41, 5)) == bytes.fromhex("12 06 19 11 29 05")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"12345678", 0x6C8AED),
        (b"123456789", 0x7EAEEF),
        (b"\xff" * 20, 0x10EF),
        (bytes(range(256)), 0xBFEBCB),
    ],
)
def test_an_uploaded_buffer_has_the_published_checksum(data: bytes, value: int) -> None:
    assert wire.buffer_checksum(data) == value


def stream(*packets: bytes) -> bytes:
    return b"".join(TOP + len(packet).to_bytes(4, "little") + packet for packet in packets)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.integers(0, 2**32))
def test_requests_are_found_however_the_stream_is_cut(contents: list[bytes], seed: int) -> None:
    packets = [packed(11, 7, number, data) for number, data in enumerate(contents)]
    whole, rng, parser, found = stream(*packets), random.Random(seed), wire.StreamParser(), []

    while whole:
        size = rng.randint(1, len(whole))
        found += parser.feed(whole[:size])
        whole = whole[size:]

    assert [frame.data for frame in found] == contents


def test_bytes_beyond_the_declared_length_belong_to_the_request() -> None:
    packet = packed(11, 0, 1, b"~SerialNumber\0")
    with_length_of_zklib = TOP + (8).to_bytes(4, "little") + packet

    found = wire.StreamParser().feed(with_length_of_zklib + stream(packed(50, 0, 2)))

    assert [(frame.command, frame.data) for frame in found] == [(11, b"~SerialNumber\0"), (50, b"")]


def test_rubbish_before_a_request_is_skipped() -> None:
    assert [frame.command for frame in wire.StreamParser().feed(b"GET / HTTP/1.1\r\n" + stream(packed(50, 0, 1)))] == [
        50
    ]


def test_a_length_that_no_request_has_is_rubbish() -> None:
    parser = wire.StreamParser()

    found = parser.feed(TOP + b"\xff\xff\xff\xff" + stream(packed(50, 0, 1)))

    assert [frame.command for frame in found] == [50]


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_no_bytes_break_the_parser(chunks: list[bytes]) -> None:
    parser = wire.StreamParser()

    for chunk in chunks:
        parser.feed(chunk)
