"""The bridge reads every capture: packets, records, and conversations in the captured frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.captures import captured
from tests.captures.playback import ACK_OK, DATA, PREPARE_DATA, SESSION, Part, Playback, bulk, packed
from zkbridge.config.models import Device
from zkbridge.contract.errors import TerminalError
from zkbridge.port.punches import Punch
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.sizes import parse_sizes
from zkbridge.terminal.records.punches import parse_event, parse_log
from zkbridge.terminal.records.templates import parse_templates
from zkbridge.terminal.session import Known, Session, open_session

CONNECT, AUTH, SIZES, READ_TEMPLATE, PREPARE_BUFFER, READ_BUFFER, FREE = 1000, 1102, 50, 88, 1503, 1504, 1502


@contextmanager
def session(terminal: Playback, folder: Path, **settings: Any) -> Iterator[Session]:
    """The bridge's own session with a terminal that plays."""
    device = Device.model_validate(
        {"id": "played", "host": terminal.host, "port": terminal.port, "timeout": 5, **settings}
    )
    within = Deadline.after(10)
    with open_session(device, deadline=within, known=Known(), disable_for=10, lock_dir=folder / "locks") as held:
        yield held


def users_72(count: int) -> bytes:
    """A data set of users in captured frames, with names of our own."""
    records = b"".join(
        struct.pack("<HB8s24sIB8x9s15x", uid, 0, b"", b"U %d" % uid, uid, 1, b"%d" % (1000 + uid))
        for uid in range(1, count + 1)
    )
    return struct.pack("<I", len(records)) + records


def sizes(**words: int) -> list[Part]:
    """The captured sizes of an F18 with other counts."""
    places = {"users": 4, "fingers": 6, "records": 8}
    values = list(struct.unpack("<23i", captured.F18_SIZES))
    for name, place in places.items():
        values[place] = words.get(name, 0)
    return [Part(ACK_OK, struct.pack("<23i", *values))]


@pytest.mark.parametrize("packet", captured.PACKETS.values(), ids=captured.PACKETS)
def test_a_captured_packet_is_read_and_made_again_byte_for_byte(packet: bytes) -> None:
    frame = wire.unpack(packet)

    assert wire.pack(frame) == packet
    assert frame.data == packet[8:]


@pytest.mark.parametrize(("key", "number", "payload"), captured.KEYS)
def test_a_key_is_scrambled_as_captured(key: int, number: int, payload: str) -> None:
    assert wire.scramble_key(key, number) == bytes.fromhex(payload)


@pytest.mark.parametrize(("when", "payload"), captured.TIMES)
def test_a_captured_time_is_read(when: datetime, payload: str) -> None:
    assert wire.decode_time(int.from_bytes(bytes.fromhex(payload), "little")) == when


def test_the_sizes_of_an_f18_are_read() -> None:
    told = parse_sizes(captured.F18_SIZES)

    assert (told.users, told.fingers, told.records) == (3, 3, 58)
    assert (told.users_capacity, told.fingers_capacity, told.records_capacity) == (5000, 3000, 100_000)
    assert (told.users_free, told.fingers_free, told.records_free) == (4997, 2997, 99_942)


@pytest.mark.parametrize("tail", [b"", captured.TAIL_OF_49], ids=["40 bytes", "49 bytes"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_captured_row_of_the_log_is_read(tail: bytes, count: int) -> None:
    rows = parse_log((captured.PUNCH + tail) * count, range(count, count + 1))

    assert list(rows or ()) == [Punch(13, "999111333", captured.PUNCHED_AT, 1, 0)] * count


def test_a_captured_punch_is_received() -> None:
    event = wire.unpack(captured.PACKETS["F19: punch"])

    assert event.session == 1
    when = datetime(2018, 6, 25, 17, 41, 5)  # noqa: DTZ001  a terminal knows no zone
    assert parse_event(event.data) == [Punch(None, "999111333", when, 1, 0)]


def test_a_captured_entry_of_the_table_of_templates_is_read() -> None:
    (entry_size,) = struct.unpack_from("<H", captured.TEMPLATE_ENTRY)
    (finger,) = parse_templates(captured.TEMPLATE_ENTRY.ljust(entry_size, b"\xaa"))

    assert (finger.uid, finger.index, finger.flag, len(finger.template)) == (14, 4, 1, 1214)
    assert finger.template.startswith(captured.TEMPLATE_ENTRY[6:])


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_captured_users_are_read_with_all_that_they_have(tmp_path: Path, udp: bool) -> None:
    table = struct.pack("<I", 144) + captured.NED + captured.NUEVO
    with (
        Playback({SIZES: sizes(users=2), PREPARE_BUFFER: [Part(DATA, table)]}) as terminal,
        session(terminal, tmp_path, transport="udp" if udp else "tcp") as held,
    ):
        ned, nuevo = held.users()

    assert (ned.uid, ned.user_id, ned.name, ned.password) == (13, "555", "Ned", "444")
    assert (ned.privilege, ned.card, ned.group) == (0, 0xDE, 2)
    assert (nuevo.uid, nuevo.user_id, nuevo.name, nuevo.password) == (14, "11224488", "Nuevo", "123456")
    assert (nuevo.privilege, nuevo.card, nuevo.group) == (6, 0x198F, 1)


@pytest.mark.parametrize(("hint", "size"), [("1008", 1008), ("65528", 65528), ("65536", 65536)])
@pytest.mark.parametrize("closing", ["the last index", "the size"])
def test_seventy_users_in_the_frames_of_a_z40_are_read(tmp_path: Path, hint: str, size: int, closing: str) -> None:
    """5044 bytes, as on a Z40: five frames of 1008 and one of 4, or one frame on newer firmware."""
    table = users_72(70)
    assert len(table) == 5044
    last = len(table) if closing == "the size" else None
    answers = {
        SIZES: sizes(users=70),
        PREPARE_BUFFER: [Part(ACK_OK, captured.PACKETS["Z40: 5044 bytes are ready"][8:])],
        READ_BUFFER: bulk(table, captured.FRAMES[hint], size, last=last),
    }
    with Playback(answers) as terminal, session(terminal, tmp_path) as held:
        users = held.users()

    assert [(user.uid, user.user_id, user.name) for user in users] == [
        (uid, str(1000 + uid), f"U {uid}") for uid in range(1, 71)
    ]


def test_the_frames_that_are_played_are_those_of_the_capture() -> None:
    """The last frame of the Z40's table holds four zero bytes, so all of it is known: ours must be the same."""
    parts = bulk(users_72(70), captured.FRAMES["1008"], 1008)

    assert [f"{part.code:04x}" for part in parts] == ["05dc", *["05dd"] * 6, "07d0"]
    heads = [struct.pack("<H", part.field or 0).hex() for part in parts[1:6]]
    assert heads == [head[8:12] for head in captured.DATA_HEADS["Z40"]]
    assert parts[0].data == captured.PACKETS["Z40: 5044 bytes in frames of 1008"][8:]
    assert (parts[6].field, parts[6].data) == (5, captured.PACKETS["Z40: the sixth frame"][8:])


def test_users_in_the_datagrams_of_a_capture_are_read(tmp_path: Path) -> None:
    """9888 bytes by UDP: 353 users of 28 bytes, in datagrams of 1024."""
    records = b"".join(struct.pack("<HB5s8sIxBHI", uid, 0, b"", b"U %d" % uid, 0, 1, 0, uid) for uid in range(1, 354))
    table = struct.pack("<I", len(records)) + records
    assert struct.pack("<I", len(table)) == captured.UDP_PREPARE[:4]
    size = struct.pack("<I", len(table))
    answers = {
        SIZES: sizes(users=353),
        PREPARE_BUFFER: [Part(ACK_OK, b"\0" + size + size + bytes(4))],
        READ_BUFFER: bulk(table, captured.UDP_PREPARE[4:], 1024),
    }
    with Playback(answers) as terminal, session(terminal, tmp_path, transport="udp") as held:
        assert [user.uid for user in held.users()] == list(range(1, 354))


@pytest.mark.parametrize("size", captured.TEMPLATE_ENDS)
def test_a_template_is_read_without_the_byte_that_the_terminal_adds(tmp_path: Path, size: int) -> None:
    """1244 bytes came in frames of 1008 and 236, 1011 in frames of 1008 and 3."""
    tail = captured.TEMPLATE_ENDS[size]
    content = captured.TEMPLATE_ENTRY[6:].ljust(size + 1 - len(tail), b"\xaa") + tail
    table = struct.pack("<I", 72) + captured.NUEVO
    answers = {
        SIZES: sizes(users=1),
        PREPARE_BUFFER: [Part(DATA, table)],
        READ_TEMPLATE: bulk(content, captured.FRAMES["1008"], 1008),
    }
    with Playback(answers) as terminal, session(terminal, tmp_path) as held:
        (user,) = held.users()
        finger = held.finger(user, 4)

    assert finger is not None
    assert finger.template == content[:-1]


def test_a_key_is_answered_to_a_captured_refusal(tmp_path: Path) -> None:
    """A Z40 answered CONNECT with 2005 and session 45cf; the AUTH of key 12 that followed is known byte for byte."""
    refusal = captured.PACKETS["Z40: unauthorised"]
    (number,) = struct.unpack_from("<H", refusal, 4)
    with (
        Playback({CONNECT: [Part(2005, b"", number)]}) as terminal,
        session(terminal, tmp_path, comm_key=12) as held,
    ):
        held.refresh()

    assert captured.PACKETS["Z40: AUTH of key 12"] in terminal.requests


@pytest.mark.parametrize(
    ("code", "meaning"), [(6001, "MB10-VL, SenseFace 3A: they only call out"), (2005, "a wrong key")]
)
def test_a_terminal_that_refuses_every_connection_is_an_error_of_its_own(
    tmp_path: Path, code: int, meaning: str
) -> None:
    answers = {CONNECT: [Part(code)], AUTH: [Part(code)]}
    with (
        Playback(answers) as terminal,
        pytest.raises(TerminalError),
        session(terminal, tmp_path, comm_key=12),
    ):
        pytest.fail(meaning)


def test_what_an_ak3750_does_not_know_is_refused_and_nothing_more(tmp_path: Path) -> None:
    """Its answer ffff is empty; the session goes on."""
    unknown = [Part(struct.unpack_from("<H", captured.PACKETS["AK3750: unknown command"])[0])]
    with Playback({11: unknown}) as terminal, session(terminal, tmp_path) as held:
        assert held.option("~PIN2Width") is None
        assert held.refresh()


def test_played_packets_have_the_standard_checksum() -> None:
    prepare = captured.PACKETS["Z40: 5044 bytes in frames of 1008"]
    assert packed(Part(PREPARE_DATA, prepare[8:], SESSION), 0x16) == prepare
    assert packed(Part(DATA, bytes(4), 5), 0x16) == captured.PACKETS["Z40: the sixth frame"]
    assert packed(Part(ACK_OK, b"", 1), 0x32) == captured.PACKETS["Z40: the end of two frames"]
