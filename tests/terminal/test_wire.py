"""Frames; captured packets, keys and times are in tests/captures."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.captures import captured
from zkbridge.terminal.protocol.wire import (
    MAX_PACKET,
    Frame,
    Garbled,
    decode_time,
    is_earlier,
    pack,
    packet_length,
    scramble_key,
    unpack,
    with_top,
)

#: What captured packets say.
FRAMES = {
    "pyzk: CONNECT": Frame(1000, 0, 0, b""),
    "pyzk: EXIT": Frame(1001, 0x1F2E, 2, b""),
    "pyzk: GET_FREE_SIZES": Frame(50, 0x1F2E, 2, b""),
    "pyzk: an event is acknowledged": Frame(2000, 0x1F2E, 0, b""),
    "pyzk: read ~SerialNumber": Frame(11, 0x1F2E, 1, b"~SerialNumber\0"),
    "F19: PIN width, odd length": Frame(2000, 0x8DF3, 10, b"\x09"),
    "K40: answer to CONNECT": Frame(2000, 0x6BA0, 1, b""),
    "AK3750: answer to CONNECT": Frame(2000, 0x7D3D, 0, b""),
    "AK3750: unknown command": Frame(65535, 0x7D3D, 10, b""),
    "F19: finger score 100": Frame(500, 256, 0, b"d"),
}

frames = st.builds(
    Frame,
    command=st.integers(0, 65535),
    session=st.integers(0, 65535),
    reply_id=st.integers(0, 65535),
    data=st.binary(max_size=300),
)


@pytest.mark.parametrize("name", FRAMES)
def test_a_captured_packet_has_the_known_contents(name: str) -> None:
    assert unpack(captured.PACKETS[name]) == FRAMES[name]


@given(frames)
def test_a_packet_is_read_as_it_was_made(frame: Frame) -> None:
    assert unpack(pack(frame)) == frame


@given(frames)
@example(Frame(0, 0, 0, b""))
@example(Frame(0xFFFF, 0, 0, b"\xff\xff"))
def test_the_checksum_is_the_one_s_complement_sum_of_words(frame: Frame) -> None:
    packet = pack(frame)
    padded = packet + b"\0" * (len(packet) % 2)
    total = sum(struct.unpack(f"<{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)

    assert total == 0xFFFF


@given(frames, st.data())
def test_one_changed_bit_is_noticed(frame: Frame, data: st.DataObject) -> None:
    packet = bytearray(pack(frame))
    bit = data.draw(st.integers(0, 8 * len(packet) - 1))
    packet[bit // 8] ^= 1 << bit % 8

    with pytest.raises(Garbled, match="checksum"):
        unpack(bytes(packet))


def test_a_short_packet_is_none() -> None:
    with pytest.raises(Garbled, match="7 bytes"):
        unpack(bytes(7))


def test_the_top_of_a_tcp_frame_has_its_length() -> None:
    framed = with_top(captured.PACKETS["pyzk: read ~SerialNumber"])

    assert framed[:8] == bytes.fromhex("50 50 82 7d 16 00 00 00")
    assert packet_length(framed[:8]) == 22


@pytest.mark.parametrize("length", [0, 7, MAX_PACKET + 1, 0xFFFFFFFF])
def test_an_absurd_length_is_not_believed(length: int) -> None:
    with pytest.raises(Garbled, match=f"{length} bytes"):
        packet_length(bytes.fromhex("50 50 82 7d") + length.to_bytes(4, "little"))


def test_bytes_that_begin_no_frame_are_garbled() -> None:
    with pytest.raises(Garbled, match="begin no frame"):
        packet_length(b"HTTP/1.1")


def test_the_largest_key_does_not_overflow() -> None:
    assert len(scramble_key(0xFFFFFFFF, 0xFFFF)) == 4


def test_a_day_of_the_format_that_no_calendar_has_is_no_time() -> None:
    assert decode_time((1 * 31 + 30) * 86400) is None  # 31 February


def test_reply_ids_of_earlier_requests_are_distinguished_from_those_never_used() -> None:
    assert is_earlier(4, current=5, asked=6)
    assert is_earlier(0, current=5, asked=6)
    assert not is_earlier(5, current=5, asked=6)
    assert not is_earlier(6, current=5, asked=6)
    assert not is_earlier(65534, current=5, asked=6)


def test_reply_ids_begin_again_after_65534() -> None:
    assert is_earlier(65534, current=0, asked=65536)
