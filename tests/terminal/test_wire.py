"""Frames: the vectors are captures and worked examples of adrobinoga/zk-protocol and fananimi/pyzk issues."""

import struct
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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

PACKETS = {
    "connect": ("e8 03 17 fc 00 00 00 00", Frame(1000, 0, 0, b"")),
    "exit": ("e9 03 e6 dc 2e 1f 02 00", Frame(1001, 0x1F2E, 2, b"")),
    "sizes": ("32 00 9d e0 2e 1f 02 00", Frame(50, 0x1F2E, 2, b"")),
    "event acknowledged": ("d0 07 01 d9 2e 1f 00 00", Frame(2000, 0x1F2E, 0, b"")),
    "serial number": (
        "0b 00 c2 97 2e 1f 01 00 7e 53 65 72 69 61 6c 4e 75 6d 62 65 72 00",
        Frame(11, 0x1F2E, 1, b"~SerialNumber\0"),
    ),
    "odd length": ("d0 07 29 6a f3 8d 0a 00 09", Frame(2000, 0x8DF3, 10, b"\x09")),
    "K40 answers connect": ("d0 07 8e 8c a0 6b 01 00", Frame(2000, 0x6BA0, 1, b"")),
    "AK3750 answers connect": ("d0 07 f2 7a 3d 7d 00 00", Frame(2000, 0x7D3D, 0, b"")),
    "AK3750 knows no such command": ("ff ff b8 82 3d 7d 0a 00", Frame(65535, 0x7D3D, 10, b"")),
    "a sample of a finger": ("f4 01 a7 fc 00 01 00 00 64", Frame(500, 256, 0, b"d")),
}

frames = st.builds(
    Frame,
    command=st.integers(0, 65535),
    session=st.integers(0, 65535),
    reply_id=st.integers(0, 65535),
    data=st.binary(max_size=300),
)


@pytest.mark.parametrize(("wire", "frame"), PACKETS.values(), ids=PACKETS)
def test_known_packets_are_made_and_read_as_they_were_captured(wire: str, frame: Frame) -> None:
    assert pack(frame) == bytes.fromhex(wire)
    assert unpack(bytes.fromhex(wire)) == frame


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


def test_the_top_of_a_tcp_frame_tells_its_length() -> None:
    framed = with_top(bytes.fromhex(PACKETS["serial number"][0]))

    assert framed[:8] == bytes.fromhex("50 50 82 7d 16 00 00 00")
    assert packet_length(framed[:8]) == 22


@pytest.mark.parametrize("length", [0, 7, MAX_PACKET + 1, 0xFFFFFFFF])
def test_an_absurd_length_is_not_believed(length: int) -> None:
    with pytest.raises(Garbled, match=f"{length} bytes"):
        packet_length(bytes.fromhex("50 50 82 7d") + length.to_bytes(4, "little"))


def test_bytes_that_begin_no_frame_are_garbled() -> None:
    with pytest.raises(Garbled, match="begin no frame"):
        packet_length(b"HTTP/1.1")


@pytest.mark.parametrize(
    ("key", "session", "sent"),
    [
        (0, 0x1F2E, "61 7d 32 66"),
        (0, 0x0001, "61 7d 32 79"),
        (1234, 0x1F2E, "41 36 32 66"),
        (1234, 0x1F99, "41 36 32 66"),
        (1234, 0x2E2E, "41 36 32 57"),
        (5678, 0x1F2E, "09 09 32 66"),
        (123456, 0x6BA0, "26 7f 32 92"),
        (999999, 0xFFFF, "22 81 32 96"),
    ],
)
def test_the_communication_key_is_scrambled_as_terminals_expect(key: int, session: int, sent: str) -> None:
    assert scramble_key(key, session) == bytes.fromhex(sent)


def test_the_largest_key_does_not_overflow() -> None:
    assert len(scramble_key(0xFFFFFFFF, 0xFFFF)) == 4


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (0, datetime(2000, 1, 1)),  # noqa: DTZ001 - a terminal's clock has no zone
        (0x2368B131, datetime(2018, 6, 25, 17, 41, 5)),  # noqa: DTZ001 - as above
        (840758399, datetime(2026, 2, 28, 23, 59, 59)),  # noqa: DTZ001 - as above
        (0xBF92F7FF, datetime(2099, 12, 31, 23, 59, 59)),  # noqa: DTZ001 - as above
        ((1 * 31 + 30) * 86400, None),  # 31 February, which the format can say
    ],
)
def test_a_terminal_s_time_is_read(value: int, moment: datetime | None) -> None:
    assert decode_time(value) == moment


def test_reply_ids_of_earlier_requests_are_told_from_those_never_asked() -> None:
    assert is_earlier(4, current=5, asked=6)
    assert is_earlier(0, current=5, asked=6)
    assert not is_earlier(5, current=5, asked=6)
    assert not is_earlier(6, current=5, asked=6)
    assert not is_earlier(65534, current=5, asked=6)


def test_reply_ids_begin_again_after_65534() -> None:
    assert is_earlier(65534, current=0, asked=65536)
