"""Shapes of captures: each frame of the simulator has the bytes that a real terminal sent, but for names and numbers.

Captures whose checksums were recomputed: pyzk's `test.py`, coding-libs/js_zklib issues 7, 50 and 53.
"""

from collections.abc import Callable

import pytest

from tests.simulator.raw import Packet, RawClient
from zkbridge.simulator import SimulatedTerminal

Start = Callable[..., SimulatedTerminal]
Raw = Callable[..., RawClient]


def whole(client: RawClient, command: int, data: bytes = b"") -> list[Packet]:
    """All frames of the answer, up to the ACK that closes it."""
    frames = [client.ask(command, data)]
    while frames[-1].code in {1500, 1501}:
        frames.append(client.read())
    return frames


def frame_sizes(frames: list[Packet]) -> list[int]:
    """The data bytes of the DATA frames."""
    return [len(frame.data) for frame in frames if frame.code == 1501]


def test_users_read_directly_over_udp_come_in_datagrams_of_1024_bytes(start: Start, raw: Raw) -> None:
    # js_zklib#7: dc05 9f18 e2b6 0200 a0260000 00040000, then ten datagrams: 9888 bytes.
    terminal = start(profile="bw")
    terminal.fill_users(353)
    client = raw(terminal, udp=True)

    frames = whole(client, 9, b"\5")

    assert frames[0].data.hex() == "a026000000040000"
    assert frame_sizes(frames) == [1024] * 9 + [672]
    assert frames[1].data[:4].hex() == "9c260000"


def test_attendance_read_directly_over_tcp_is_announced_in_frames_of_1008_bytes(start: Start, raw: Raw) -> None:
    # js_zklib#53, a K40: dc05 158a a06b 0200 7c000000 f0030000, then one frame: 124 bytes.
    terminal = start()
    terminal.add_user("3")
    for _ in range(3):
        terminal.punch("3")

    frames = whole(raw(terminal), 13)

    assert frames[0].data.hex() == "7c000000f0030000"
    assert frame_sizes(frames) == [124]
    assert frames[1].data[:4].hex() == "78000000"


def test_bulk_frames_carry_their_index_in_the_session_field(start: Start, raw: Raw) -> None:
    # pyzk test.py: dc05 5558 d098 3200, dd05 00f4 0000 3200, dd05 48b1 0100 3200, d007 fcf7 0100 3200.
    terminal = start(profile="face", session_id=0x98D0)
    terminal.add_user("14")
    terminal.add_template("14", 1, bytes(1243))
    client = raw(terminal)
    client.reply_id = 0x32

    frames = whole(client, 88, b"\1\0\1")

    assert [frame.raw[:2].hex() + frame.raw[4:8].hex() for frame in frames] == [
        "dc05d0983200",
        "dd0500003200",
        "dd0501003200",
        "d00701003200",
    ]
    assert frames[-1].raw.hex() == "d007fcf701003200"


def test_a_k40_puts_the_size_into_the_closing_ack(start: Start, raw: Raw) -> None:
    # js_zklib#53: dc05 158a a06b 0200 7c000000 f0030000, dd05 9426 0000 0200 …, d007 b1f7 7c00 0200.
    terminal = start(session_id=0x6BA0)
    terminal.add_user("3")
    for _ in range(3):
        terminal.punch("3")
    client = raw(terminal)
    client.reply_id = 2

    first, data, closing = whole(client, 13)

    assert first.raw.hex() == "dc05158aa06b02007c000000f0030000"
    assert (data.session, len(data.data)) == (0, 124)
    assert closing.raw.hex() == "d007b1f77c000200"


def test_a_table_that_comes_at_once_carries_the_session_id(start: Start, raw: Raw) -> None:
    # pyzk test.py: dd05 942c 9663 1500 f8010000: seven users after 1503, in one frame.
    terminal = start(session_id=0x6396)
    terminal.fill_users(7)
    client = raw(terminal)
    client.reply_id = 0x15

    answer = client.prepare(9, 5)

    assert (answer.code, answer.session, answer.data[:4].hex(), len(answer.data)) == (1501, 0x6396, "f8010000", 508)


@pytest.mark.parametrize(
    ("size", "ends", "sizes"),
    [
        # pyzk test.py: dc05 5558 d098 3200 dc040000 f0030000, then 1008 and 236 bytes that end in 4c cc c1 01.
        (1243, "4cccc1", [1008, 236]),
        # dc05 3b59 d098 3500 f3030000 f0030000, then 1008 bytes and a0 57 01.
        (1010, "a057", [1008, 3]),
    ],
)
def test_a_template_comes_in_frames_of_1008_bytes_with_a_byte_01_after_it(
    start: Start, raw: Raw, size: int, ends: str, sizes: list[int]
) -> None:
    terminal = start()
    terminal.add_user("14")
    terminal.add_template("14", 1, bytes.fromhex(ends).rjust(size, b"\x4d"))

    frames = whole(raw(terminal), 88, b"\1\0\1")

    assert frames[0].data.hex() == (size + 1).to_bytes(4, "little").hex() + "f0030000"
    assert frame_sizes(frames) == sizes
    assert frames[-2].data[-len(ends) // 2 - 1 :].hex() == ends + "01"


@pytest.mark.parametrize(
    ("packet", "announced", "sizes"),
    [
        (1008, "f0030000", [1008] * 5 + [4]),  # pyzk test.py: dc05 0da6 5c3c 1600 b4130000 f0030000
        (0xFFF8, "f8ff0000", [5044]),
        (0x10000, "00000100", [5044]),  # pyzk test.py: dc05 4778 3064 1700 941d0000 00000100
    ],
)
def test_a_piece_of_a_table_comes_in_frames_of_the_size_that_is_announced(
    start: Start, raw: Raw, packet: int, announced: str, sizes: list[int]
) -> None:
    terminal = start(profile="face", tcp_packet=packet, session_id=0x3C5C)
    terminal.fill_users(70)
    client = raw(terminal)
    client.reply_id = 0x15
    assert client.prepare(9, 5).data[:9].hex() == "00b4130000b4130000"

    frames = whole(client, 1504, bytes(4) + (5044).to_bytes(4, "little"))

    assert frames[0].data.hex() == "b4130000" + announced
    assert frame_sizes(frames) == sizes
    assert [frame.session for frame in frames] == [0x3C5C, *range(len(sizes)), len(sizes) - 1]
    if packet == 1008:
        assert frames[0].raw.hex() == "dc050da65c3c1600b4130000f0030000"


def test_an_f19_announces_4096_and_sends_one_frame(start: Start, raw: Raw) -> None:
    # zk-protocol ex_data.md: "Fixed. 0010", and the DATA packet's length "equals to size dataset".
    terminal = start(profile="f19")
    terminal.fill_users(100)
    client = raw(terminal)
    client.prepare(9, 5)

    frames = whole(client, 1504, bytes(4) + (7204).to_bytes(4, "little"))

    assert frames[0].data.hex() == "241c000000100000"
    assert frame_sizes(frames) == [7204]


def test_a_push_terminal_answers_connect_by_6001(start: Start, raw: Raw) -> None:
    # pyzk#253: MB10-VL and SenseFace 3A.
    answer = raw(start(profile="push"), connect=False).ask(1000)

    assert answer.raw[:2].hex() == "7117"
    assert answer.data == b""


def test_a_terminal_with_faces_counts_them_in_words_20_and_22(start: Start, raw: Raw) -> None:
    # zk-protocol terminal.md: face count at offset 80, face capacity at 88.
    data = raw(start(profile="face")).ask(50).data

    assert data[80:92].hex() == "030000000000000070170000"


@pytest.mark.parametrize("name", ["FaceFunOn", "ZKFaceVersion", "CompatOldFirmware"])
def test_a_k40_does_not_know_the_options_of_faces(start: Start, raw: Raw, name: str) -> None:
    assert raw(start()).ask(11, name.encode() + b"\0").code == 2001


def test_an_f19_does_what_its_documents_say(start: Start, raw: Raw) -> None:
    terminal = start(profile="f19", restart_seconds=60.0)
    terminal.add_user("1")
    for finger in range(3):
        terminal.add_template("1", finger)
    client = raw(terminal)

    assert client.ask(11, b"~RFCardOn\0").data == b"~RFCardOn=1\0"
    assert client.ask(11, b"~IsOnlyRFMachine\0").data == b"~IsOnlyRFMachine=0\0"
    assert client.ask(19, b"\1\0\0").code == 2000
    assert terminal.templates() == {}
    client.tell(1004)
    assert client.ended() == "closed"


@pytest.mark.parametrize("state", [0, 15, 25, 101, 104, 250])
def test_a_punch_has_any_state_that_a_key_may_have(start: Start, raw: Raw, state: int) -> None:
    # P160 manual: "Punch State Value ... 0 to 250"; 15, 25, 101 and 104 stand in logs.
    terminal = start()
    terminal.add_user("1")
    client = raw(terminal)
    client.ask(500, b"\1\0\0\0")

    assert terminal.punch("1", state=state)

    assert client.read().data[25] == state
    assert client.read_table(13)[4 + 31] == state


def test_a_log_may_read_empty_while_the_sizes_count_it(start: Start, raw: Raw) -> None:
    # php_zklib#14: a terminal that was busy.
    terminal = start(attendance_shown=0)
    terminal.add_user("1")
    terminal.punch("1")
    client = raw(terminal)

    assert client.sizes()[8] == 1
    assert client.read_table(13) == bytes(4)


BW = {"profile": "bw", "transport": "both"}


def test_an_old_terminal_enrols_by_uid_and_finger_in_four_bytes(start: Start, raw: Raw) -> None:
    # The manual of 2006, CMD_STARTENROLL: 01 00 07 00.
    terminal = start(**BW, enrolment="wait", enrol_form="uid")
    terminal.add_user("4711", uid=1)
    client = raw(terminal)

    assert client.ask(61, (4711).to_bytes(4, "little") + b"\7").code == 2001
    assert client.ask(61, bytes.fromhex("02000700")).code == 2001
    assert client.ask(61, bytes.fromhex("01000a00")).code == 2001
    assert client.ask(61, bytes.fromhex("01000700")).code == 2000


@pytest.mark.parametrize("size", [200, 206])
def test_an_old_terminal_takes_a_template_by_command_10(start: Start, raw: Raw, size: int) -> None:
    # The manual of 2006, TTemplate: size, PIN, finger, valid, template.
    terminal = start(**BW)
    terminal.add_user("4711", uid=1)
    client = raw(terminal)
    entry = size.to_bytes(2, "little") + bytes.fromhex("01000701") + bytes(range(200))

    assert client.ask(10, entry).code == 2000
    assert {key: stored.data for key, stored in terminal.templates().items()} == {(1, 7): bytes(range(200))}
    # "the user … must exist, … must be empty"
    assert client.ask(10, entry).code == 2001
    assert client.ask(10, entry[:2] + b"\2\0" + entry[4:]).code == 2001
    assert client.ask(10, entry[:-1]).code == 2001
    assert raw(start()).ask(10, entry).code == 65535


def test_a_template_is_looked_for_by_command_1011(start: Start, raw: Raw) -> None:
    # The manual of 2006, CMD_TEST_TEMP: ACK_OK and the user's serial number where the fingerprint exists.
    terminal = start(**BW)
    terminal.add_user("4711", uid=0x0102)
    terminal.add_template("4711", 7, b"SS21" * 50)
    client = raw(terminal)

    assert client.ask(1011, b"SS21" * 50).data.hex() == "0201"
    assert client.ask(1011, b"SS21" * 49).code == 2001
