"""The table of users: what is written is what is read, and what is refused."""

from collections.abc import Callable

import pytest

from tests.simulator.raw import RawClient, user_28, user_72
from zkbridge.simulator import Refused, SimulatedTerminal

TRANSPORTS = pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])


@TRANSPORTS
def test_a_record_is_read_back_bit_for_bit(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    record = bytearray(user_72(14, "11224488", b"Nuevo\0\xaa\xbb", b"12345678", privilege=6, card=0x198F, group=2))
    record[40:48] = b"\1\0\2\0\3\0\4\0"
    client = raw(terminal, udp=udp)

    assert client.ask(8, bytes(record)).code == 2000

    assert client.users() == [bytes(record)]
    (user,) = terminal.users()
    assert (user.uid, user.user_id, user.name, user.password) == (14, "11224488", "Nuevo", "12345678")
    assert (user.privilege, user.card, user.group, user.raw) == (6, 0x198F, 2, bytes(record))


@TRANSPORTS
def test_a_short_record_is_read_back_bit_for_bit(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient], udp: bool
) -> None:
    terminal = start(profile="bw", transport="both")
    record = user_28(300, 42, b"Ana", b"9999", privilege=14, card=0xDEADBEEF, group=3)
    client = raw(terminal, udp=udp)

    assert client.ask(8, record).code == 2000

    assert client.users() == [record]
    (user,) = terminal.users()
    assert (user.uid, user.user_id, user.name, user.password) == (300, "42", "Ana", "9999")
    assert (user.privilege, user.card, user.group) == (14, 0xDEADBEEF, 3)


def test_the_record_of_another_firmware_is_refused(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    long_one, short_one = start(), start(profile="bw", transport="tcp")

    assert raw(long_one).ask(8, user_28(1, 1)).code == 2001
    assert raw(short_one).ask(8, user_72(1, "1")).code == 2001
    assert long_one.users() == short_one.users() == []


def test_writing_a_uid_again_changes_that_user(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    client.ask(8, user_72(1, "1", b"Ana"))
    client.ask(8, user_72(2, "2", b"Bob"))

    client.ask(8, user_72(1, "1", b"Eva"))

    assert [user.name for user in terminal.users()] == ["Eva", "Bob"]


def test_uid_zero_is_refused(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    assert raw(terminal).ask(8, user_72(0, "1")).code == 2001


def test_a_full_table_takes_changes_but_no_more_users(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = start(user_capacity=2)
    terminal.fill_users(2)
    client = raw(terminal)

    assert client.ask(8, user_72(3, "3")).code == 2001
    assert client.ask(8, user_72(2, "2", b"New name")).code == 2000
    assert [user.name for user in terminal.users()] == ["User 1", "New name"]
    with pytest.raises(Refused, match="room"):
        terminal.add_user("3")


def test_deleting_a_user_deletes_the_fingers_and_keeps_the_punches(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("77")
    terminal.add_template("77", 0)
    terminal.punch("77")
    client = raw(terminal)

    assert client.ask(18, (1).to_bytes(2, "little") + bytes(70)).code == 2000

    assert client.sizes()[4:9:2] == [0, 0, 1]


def test_deleting_a_stranger_is_refused(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    assert raw(terminal).ask(18, b"\1\0").code == 2001
    assert raw(terminal).ask(18, b"").code == 2001


def test_the_keypad_takes_the_next_uid_and_no_user_id_twice(terminal: SimulatedTerminal) -> None:
    terminal.add_user("5", uid=40)

    assert terminal.add_user("6").uid == 41
    with pytest.raises(Refused, match="Duplicate"):
        terminal.add_user("6")


def test_a_short_record_holds_numbers_only(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start(profile="bw")

    assert terminal.add_user("0042").user_id == "42"
    with pytest.raises(ValueError, match="number"):
        terminal.add_user("A1")


def test_the_sizes_count_what_the_tables_hold(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1", privilege=14, password="1")
    terminal.add_user("2")
    terminal.add_template("1", 0)
    terminal.punch("1")
    terminal.punch("2")

    sizes = raw(terminal).sizes()

    assert len(sizes) == 23
    assert [sizes[4], sizes[6], sizes[8], sizes[12], sizes[13]] == [2, 1, 2, 1, 1]
    assert sizes[14:20] == [3000, 5000, 100_000, 2999, 4998, 99_998]


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"", (0, 0, 0)),
        (b"\1", (1, 1, 0)),
        (b"\2", (1, 0, 1)),
        (b"\3", (1, 1, 1)),
        (b"\5", (0, 0, 1)),
    ],
)
def test_clear_data_empties_everything_or_the_table_it_names(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], data: bytes, left: tuple[int, int, int]
) -> None:
    terminal.add_user("1")
    terminal.add_template("1", 0)
    terminal.punch("1")

    assert raw(terminal).ask(14, data).code == 2000

    assert (len(terminal.users()), len(terminal.templates()), len(terminal.attendance())) == left


def test_clear_data_with_an_unknown_table_is_refused(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("1")

    assert raw(terminal).ask(14, b"\x77").code == 2001
    assert len(terminal.users()) == 1


def test_clear_attendance_and_operations(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1")
    terminal.punch("1")
    client = raw(terminal)

    assert client.ask(15).code == 2000
    assert client.ask(33).code == 2000

    assert terminal.attendance() == []
    assert len(terminal.users()) == 1


def test_clear_admin_makes_all_users_ordinary(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1", privilege=14)

    assert raw(terminal).ask(20).code == 2000

    assert [user.privilege for user in terminal.users()] == [0]


def test_the_group_and_the_way_to_verify_are_read_and_written(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("1")
    client = raw(terminal)

    assert client.ask(22, b"\1\0\0\0\7").code == 2000
    assert client.ask(21, b"\1\0").data == b"\7"
    assert client.ask(79, b"\1\0\x81" + bytes(21)).code == 2000
    assert client.ask(80, b"\1\0").data == b"\1\0\x81" + bytes(21)
    assert client.ask(80, b"\2\0").code == 2001
    assert terminal.users()[0].group == 7


def test_thirty_thousand_users_are_there_at_once_and_read_whole(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = start(user_capacity=30_000)
    terminal.fill_users(30_000)

    table = raw(terminal).read_table(9, 5)

    assert int.from_bytes(table[:4], "little") == 30_000 * 72
    assert len(table) == 30_000 * 72 + 4
    assert len({user.uid for user in terminal.users()}) == 30_000
