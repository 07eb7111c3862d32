"""Whole tables and templates: read in all ways, written in both."""

from collections.abc import Callable

import pytest

from tests.simulator.raw import RawClient, user_72
from zkbridge.simulator import Punch, SimulatedTerminal
from zkbridge.simulator.wire.frames import buffer_checksum

TRANSPORTS = pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
NOON = (((26 * 12 + 4) * 31) + 9) * 86400 + 12 * 3600  # 2026-05-10 12:00


@pytest.fixture
def punched(terminal: SimulatedTerminal) -> SimulatedTerminal:
    terminal.add_user("1001")
    terminal.add_punch(Punch(uid=1, user_id="1001", verify=15, state=1, time=NOON))
    return terminal


@TRANSPORTS
@pytest.mark.parametrize("count", [0, 1, 13, 14, 15, 1000])
def test_a_table_of_any_size_is_read_whole(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool, count: int
) -> None:
    terminal.fill_users(count)

    table = raw(terminal, udp=udp).read_table(9, 5)

    assert table == (72 * count).to_bytes(4, "little") + b"".join(user.raw for user in terminal.users())


@TRANSPORTS
def test_a_small_set_comes_at_once_and_a_large_one_is_announced(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(terminal, udp=udp)
    terminal.fill_users(1)
    assert client.prepare(9, 5).code == 1501

    terminal.fill_users(100)
    announced = client.prepare(9, 5)

    size = (101 * 72 + 4).to_bytes(4, "little")
    assert (announced.code, announced.data[:9], len(announced.data)) == (2000, b"\0" + size + size, 13)


def test_pieces_may_be_asked_in_any_order_and_size(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(100)
    client = raw(terminal)
    client.prepare(9, 5)

    whole = client.read_piece(0, 7204)

    assert client.read_piece(7000, 204) + client.read_piece(0, 4) == whole[7000:] + whole[:4]


@pytest.mark.parametrize(("first", "size"), [(7204, 1), (0, 7205), (-1, 4)])
def test_a_piece_beyond_the_set_is_refused(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], first: int, size: int
) -> None:
    terminal.fill_users(100)
    client = raw(terminal)
    client.prepare(9, 5)

    request = first.to_bytes(4, "little", signed=True) + size.to_bytes(4, "little")

    assert client.ask(1504, request).code == 2001


def test_a_piece_after_free_is_refused(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(100)
    client = raw(terminal)
    client.prepare(9, 5)
    client.ask(1502)

    assert client.ask(1504, bytes(4) + b"\4\0\0\0").code == 2001


def test_prepare_data_has_exactly_eight_bytes_and_one_data_frame_follows(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.fill_users(500)
    client = raw(terminal)
    client.prepare(9, 5)

    answer = client.ask(1504, bytes(4) + (36004).to_bytes(4, "little"))
    data, closing = client.read(), client.read()

    assert (len(answer.data), data.code, len(data.data)) == (8, 1501, 36004)
    assert (closing.code, closing.data) == (2000, b"")
    assert data.reply_id == closing.reply_id == answer.reply_id


def test_frames_of_65472_bytes_have_a_length_of_sixteen_bits(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.switches.tcp_packet = 65472
    terminal.fill_users(2000)
    client = raw(terminal)
    client.prepare(9, 5)
    client.tell(1504, bytes(4) + (144004).to_bytes(4, "little"))

    frames = [client.read() for _ in range(5)]

    assert [frame.code for frame in frames] == [1500, 1501, 1501, 1501, 2000]
    assert max(len(frame.raw) for frame in frames) < 65536


def test_udp_packets_hold_at_most_1024_bytes_of_data(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.fill_users(100)
    client = raw(terminal, udp=True)
    client.prepare(9, 5)
    client.tell(1504, bytes(4) + (7204).to_bytes(4, "little"))

    frames = [client.read() for _ in range(10)]

    assert [frame.code for frame in frames] == [1500, *[1501] * 8, 2000]
    assert max(len(frame.data) for frame in frames) <= 1024


@TRANSPORTS
def test_old_clients_read_users_and_attendance_directly(
    punched: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(punched, udp=udp)

    users = client.read_bulk(client.ask(9, b"\5"))
    log = client.read_bulk(client.ask(13))

    assert users == (72).to_bytes(4, "little") + punched.users()[0].raw
    assert log[:4] == (40).to_bytes(4, "little")


def test_an_unknown_data_set_is_refused_and_an_unused_one_is_empty(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    assert client.prepare(99, 99).code == 2001
    assert client.prepare(70, 6).data == bytes(4)
    assert client.ask(1503, b"\1").code == 2001


@pytest.mark.parametrize(
    ("layout", "record"),
    [
        ("8", "0100 0f {time} 01"),
        ("8b", "0100 0f 01 {time}"),
        ("16", "e9030000 {time} 0f 01 0000 00000000"),
        ("40", "0100 31303031" + "00" * 20 + "0f {time} 01 00000000 ff000000"),
        ("49", "0100 31303031" + "00" * 20 + "0f {time} 01 00000000 ff000000 ff3235350000000000"),
    ],
)
def test_a_punch_has_the_layout_of_its_firmware(
    punched: SimulatedTerminal, raw: Callable[..., RawClient], layout: str, record: str
) -> None:
    punched.switches.attendance = layout

    table = raw(punched).read_table(13)

    time = NOON.to_bytes(4, "little").hex()
    assert table[4:] == bytes.fromhex(record.format(time=time))
    assert int.from_bytes(table[:4], "little") == len(table) - 4


def test_operations_are_logged_in_sixteen_bytes(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    client.ask(8, user_72(7, "7"))

    table = client.read_table(34)

    assert (len(table) - 4) % 16 == 0
    assert table[-16:][2] == 30
    assert table[-16:][8:10] == b"\7\0"


@TRANSPORTS
def test_one_template_is_read_with_the_byte_01_after_it_or_bare(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    terminal.add_user("1")
    terminal.add_template("1", 3, bytes(range(1, 200)) * 10)
    client = raw(terminal, udp=udp)

    with_tail = client.read_bulk(client.ask(88, b"\1\0\3"))
    bare = client.read_bulk(client.ask(9, b"\1\0\3"))

    assert bare == bytes(range(1, 200)) * 10
    assert with_tail == bare + b"\1"


@pytest.mark.parametrize("command", [88, 9])
def test_a_template_that_is_not_there_is_refused(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], command: int
) -> None:
    assert raw(terminal).ask(command, b"\1\0\3").code == 2001


def test_the_template_table_has_size_uid_finger_and_flag(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("1")
    terminal.add_template("1", 3, b"abc", flag=3)
    terminal.add_template("1", 4, b"de")

    table = raw(terminal).read_table(7, 2)

    assert table[4:] == b"\x09\0\1\0\3\3abc" + b"\x08\0\1\0\4\1de"


def upload(client: RawClient, data: bytes) -> None:
    assert client.ask(1502).code == 2000
    assert client.ask(1500, len(data).to_bytes(4, "little")).code == 2000
    for at in range(0, len(data), 1024):
        assert client.ask(1501, data[at : at + 1024]).code == 2000


def test_a_template_is_written_the_sdk_s_way(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1")
    template = bytes(range(256)) * 5
    client = raw(terminal)

    upload(client, template)
    checksum = client.ask(119)
    written = client.ask(87, b"\1\0\6\1" + len(template).to_bytes(2, "little"))

    assert int.from_bytes(checksum.data, "little") == buffer_checksum(template)
    assert written.code == 2000
    assert terminal.templates()[1, 6].data == template


def test_a_template_for_an_unknown_user_or_larger_than_the_buffer_is_refused(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    upload(client, b"abc")

    assert client.ask(87, b"\1\0\6\1\3\0").code == 2001
    terminal.add_user("1")
    assert client.ask(87, b"\1\0\6\1\4\0").code == 2001
    assert terminal.templates() == {}


def users_with_fingers(*users: tuple[int, dict[int, bytes]]) -> bytes:
    people, table, fingers = b"", b"", b""
    for uid, prints in users:
        people += b"\2" + user_72(uid, str(uid))
        for finger, template in prints.items():
            table += b"\2" + uid.to_bytes(2, "little") + bytes((0x10 + finger,)) + len(fingers).to_bytes(4, "little")
            fingers += len(template).to_bytes(2, "little") + template
    return b"".join(len(part).to_bytes(4, "little") for part in (people, table, fingers)) + people + table + fingers


SAVE = bytes.fromhex("0c00000000000800")


def test_users_are_written_with_their_fingers_in_one_upload(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    upload(client, users_with_fingers((1, {0: b"a" * 600, 5: b"b" * 700}), (2, {9: b"c"})))

    assert client.ask(110, SAVE).code == 2000

    assert {key: len(stored.data) for key, stored in terminal.templates().items()} == {
        (1, 0): 600,
        (1, 5): 700,
        (2, 9): 1,
    }
    assert [user.user_id for user in terminal.users()] == ["1", "2"]


@pytest.mark.parametrize("cut", [1, 5, 12, 40, -1])
def test_an_upload_that_was_cut_is_refused(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], cut: int
) -> None:
    client = raw(terminal)
    upload(client, users_with_fingers((1, {0: b"a" * 60}))[:cut])

    assert client.ask(110, SAVE).code == 2001
    assert terminal.templates() == {}


def test_templates_are_deleted_by_uid_and_by_user_id(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("A1")
    for finger in range(4):
        terminal.add_template("A1", finger)
    client = raw(terminal)

    assert client.ask(19, b"\1\0\0").code == 2000
    assert client.ask(134, b"A1".ljust(24, b"\0") + b"\1").code == 2000
    assert sorted(terminal.templates()) == [(1, 2), (1, 3)]
    assert client.ask(19, b"\1\0\0").code == 2001
    assert client.ask(19, b"\1\0").code == 2000
    assert terminal.templates() == {}
    assert client.ask(134, b"A2".ljust(24, b"\0") + b"\1").code == 2001
