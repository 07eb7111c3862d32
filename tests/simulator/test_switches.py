"""Each switch, shown to change what a client meets; and that none is without its test."""

# ruff: noqa: DTZ001  a terminal knows no time zone
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.simulator.raw import TOP, RawClient, packed, scrambled, user_72
from tests.support.waiting import wait_until
from zkbridge.simulator import Punch, SimulatedTerminal, Switches
from zkbridge.simulator.device import switches as table
from zkbridge.simulator.wire import frames as wire

SHOWN: set[str] = set()
QUIET_S = 0.1
WHEN = datetime(2018, 6, 25, 17, 41, 5)


def shows(*names: Any) -> Callable[..., Any]:
    """Name the switches that a test shows."""
    SHOWN.update(names)
    return lambda test: test


def asked_in(client: RawClient, command: int, data: bytes = b"") -> float:
    began = time.monotonic()
    client.ask(command, data)
    return time.monotonic() - began


def is_reset(terminal: SimulatedTerminal) -> bool:
    """Whether a new connection is reset, which may come before the client's system says connected."""
    try:
        with RawClient(terminal, timeout=QUIET_S) as client:
            return client.ended() == "reset"
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def finger(user_id: str = "1001", number: int = 3) -> bytes:
    return user_id.encode().ljust(24, b"\0") + bytes((number, 1))


def start_reading(terminal: SimulatedTerminal, client: RawClient) -> None:
    terminal.fill_users(500)
    client.prepare(9, 5)
    client.tell(1504, bytes(4) + (36004).to_bytes(4, "little"))


# How answers leave


@shows("latency", "delays")
def test_every_answer_or_those_of_one_command_take_their_time(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    terminal.latency = 0.05
    terminal.switches.delays = {"GET_VERSION": 0.05, "69": 0.1}

    assert asked_in(client, 50) >= 0.05
    assert asked_in(client, 1100) >= 0.1
    assert asked_in(client, 69) >= 0.15


def segments(client: RawClient, bulk_bytes: int) -> list[int]:
    """The sizes of what arrives, as long as the gaps are long enough to see."""
    sizes: list[Any] = []
    while sum(sizes) < bulk_bytes:
        sizes.append(len(client.socket.recv(1 << 20)))
    return sizes


@shows("delivery", "gap", "split_delay")
@pytest.mark.parametrize(
    ("delivery", "expected"),
    [("js", [24, 7220 + 16]), ("separate", [24, 7220, 16]), ("coalesced", [24 + 7220 + 16])],
)
def test_a_bulk_answer_leaves_in_the_segments_of_its_setting(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], delivery: str, expected: list[int]
) -> None:
    terminal.fill_users(100)
    terminal.switches.update({"delivery": delivery, "gap": 0.2})
    client = raw(terminal)
    client.prepare(9, 5)
    client.tell(1504, bytes(4) + (7204).to_bytes(4, "little"))

    assert segments(client, 7260) == expected


def test_split_cuts_every_answer(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    terminal.switches.update({"delivery": "split-10", "split_delay": 0.15})
    client.tell(1100)

    assert segments(client, 16 + 21) == [10, 10, 10, 7]


@shows("piece_delay")
def test_each_piece_of_a_bulk_read_takes_its_time(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(100)
    terminal.switches.piece_delay = 0.05
    client = raw(terminal)
    assert client.prepare(9, 5).code == 2000

    began = time.monotonic()
    client.read_piece(0, 4)

    assert time.monotonic() - began >= 0.05


@shows("record_rate")
def test_many_records_take_long_to_prepare(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(100)
    terminal.switches.record_rate = 1000
    client = raw(terminal)

    assert asked_in(client, 1503, b"\1\x09\0\5\0\0\0\0\0\0\0") >= 0.1


@shows("stall_after")
def test_bulk_data_stalls(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.stall_after = 20_000
    client = raw(terminal)
    start_reading(terminal, client)

    received = b""
    while len(received) < 24 + 16 + 20_000:
        received += client.socket.recv(65536)

    assert len(received) == 24 + 16 + 20_000
    assert client.silent(QUIET_S)


@shows("fin_after", "reset_after")
@pytest.mark.parametrize(("switch", "ending"), [("fin_after", "closed"), ("reset_after", "reset")])
def test_a_connection_ends_within_bulk_data(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], switch: str, ending: str
) -> None:
    setattr(terminal.switches, switch, 100)
    client = raw(terminal)
    start_reading(terminal, client)

    assert client.ended() == ending


def test_the_bytes_of_several_pieces_count_together(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(100)
    terminal.switches.fin_after = 5000
    client = raw(terminal)
    client.prepare(9, 5)

    client.read_piece(0, 4000)
    client.tell(1504, (4000).to_bytes(4, "little") + (3204).to_bytes(4, "little"))

    assert client.ended() == "closed"


@shows("udp_loss")
def test_all_datagrams_may_be_lost(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal, udp=True)
    terminal.switches.udp_loss = 1.0
    client.tell(50)

    assert client.silent(QUIET_S)
    assert terminal.counts[50] == 0


@shows("udp_duplicate")
def test_all_datagrams_may_come_twice(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal, udp=True)
    terminal.switches.udp_duplicate = 1.0
    client.tell(50)

    assert client.read().raw == client.read().raw


@shows("udp_reorder")
def test_datagrams_may_change_places(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(100)
    client = raw(terminal, udp=True)
    client.prepare(9, 5)
    terminal.switches.udp_reorder = 1.0
    client.tell(1504, bytes(4) + (2000).to_bytes(4, "little"))

    assert [client.read().code for _ in range(4)] == [1501, 1500, 2000, 1501]


@shows("direct_packet")
def test_direct_reads_over_tcp_have_frames_of_the_size_that_is_set(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.fill_users(100)
    terminal.switches.direct_packet = 4000
    client = raw(terminal)
    answer = client.ask(9, b"\5")

    assert int.from_bytes(answer.data[4:], "little") == 4000
    assert [len(client.read().data) for _ in range(2)] == [4000, 3204]


@shows("udp_packet")
def test_data_datagrams_have_the_size_that_is_set(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(100)
    terminal.switches.udp_packet = 500
    client = raw(terminal, udp=True)
    client.prepare(9, 5)
    answer = client.ask(1504, bytes(4) + (1000).to_bytes(4, "little"))

    assert int.from_bytes(answer.data[4:], "little") == 500
    assert [len(client.read().data) for _ in range(2)] == [500, 500]


# Connections and sessions


@shows("transport")
def test_a_terminal_listens_on_its_transports(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = start(transport="udp")
    assert raw(terminal, udp=True).ask(50).code == 2000
    with pytest.raises(ConnectionRefusedError):
        RawClient(terminal)

    terminal.switches.transport = "tcp"

    assert raw(terminal).ask(50).code == 2000
    with RawClient(terminal, udp=True) as client, pytest.raises(ConnectionRefusedError):
        client.ask(1000)


@shows("second_connection")
def test_a_second_connection_is_served_refused_ignored_or_replaces_the_first(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    first = raw(terminal)
    second = raw(terminal)
    assert second.ask(50).code == first.ask(50).code == 2000
    second.close()
    wait_until(lambda: terminal.sessions_open == 1)

    terminal.switches.second_connection = "refuse"
    assert is_reset(terminal)
    assert first.ask(50).code == 2000

    terminal.switches.second_connection = "ignore"
    with RawClient(terminal) as ignored:
        ignored.tell(1000)
        assert ignored.silent(QUIET_S)
        assert first.ask(50).code == 2000

    terminal.switches.second_connection = "replace"
    assert raw(terminal).ask(50).code == 2000
    assert first.ended() == "reset"
    assert terminal.sessions_open == 1


@shows("several_requests")
@pytest.mark.parametrize(("taken", "answered"), [("serve", [0, 1]), ("first", [0]), ("last", [1]), ("reset", [0])])
def test_of_requests_that_arrive_together_some_are_answered(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], taken: str, answered: list[int]
) -> None:
    terminal.switches.several_requests = taken
    client = raw(terminal)
    first = client.reply_id
    packets = [packed(50, client.session, first + number) for number in range(2)]

    client.socket.sendall(b"".join(TOP + len(packet).to_bytes(4, "little") + packet for packet in packets))

    assert [client.read().reply_id - first for _ in answered] == answered
    if taken == "reset":
        assert client.ended() == "reset"
    else:
        assert client.silent(QUIET_S)


def test_one_client_only_holds_for_udp_too(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = start(second_connection="refuse")
    first = raw(terminal, udp=True)
    second = raw(terminal, udp=True, connect=False)

    second.tell(1000)
    assert second.silent(QUIET_S)
    first.ask(1001)

    assert second.connect().code == 2000


@shows("reset_soon_after_close")
def test_a_connection_just_after_another_is_reset(terminal: SimulatedTerminal) -> None:
    terminal.switches.reset_soon_after_close = 0.2
    RawClient(terminal).close()
    wait_until(lambda: terminal.machine.connections._last_close > 0)

    assert is_reset(terminal)
    wait_until(lambda: not is_reset(terminal))


@shows("idle_timeout")
def test_a_silent_connection_is_closed(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    terminal.switches.idle_timeout = 0.1

    assert client.ended() == "closed"
    assert terminal.sessions_open == 0


@shows("slot_timeout")
def test_a_silent_connection_loses_its_place(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = start(second_connection="refuse", slot_timeout=0.1)
    raw(terminal)

    assert is_reset(terminal)
    wait_until(lambda: not is_reset(terminal))


@shows("auth_always")
def test_a_key_of_zero_is_asked_for(start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]) -> None:
    client = raw(start(auth_always=True), connect=False)

    client.session = (answer := client.ask(1000)).session

    assert answer.code == 2005
    assert client.ask(50).code == 2005
    assert client.ask(1102, scrambled(0, client.session)).code == 2000
    assert client.ask(50).code == 2000


@shows("connect_code")
def test_connect_is_answered_by_another_code(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    client = raw(start(connect_code=6001), connect=False)

    assert client.ask(1000).code == 6001
    assert client.ask(50).code == 2005


@shows("unauthorised_code")
def test_what_is_asked_before_connect_gets_the_code_that_is_set(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    assert raw(start(unauthorised_code=2001), connect=False).ask(50).code == 2001


@shows("check_checksum")
def test_a_wrong_checksum_is_overlooked_or_dropped(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    wrong = bytearray(packed(50, client.session, 1))
    wrong[2] ^= 0xFF

    client.send_packet(bytes(wrong))
    assert client.read().code == 2000
    terminal.switches.check_checksum = True
    client.send_packet(bytes(wrong))
    assert client.silent(QUIET_S)


@shows("check_session")
def test_a_foreign_session_id_is_overlooked_or_refused(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    client.session ^= 0x0101

    assert client.ask(50).code == 2000
    terminal.switches.check_session = True
    assert client.ask(50).code == 2005


@shows("foreign_protocol")
@pytest.mark.parametrize("udp", [False, True])
def test_another_protocol_may_live_on_the_port(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(start(foreign_protocol=True), connect=False, udp=udp)
    client.tell(1000)

    assert client.socket.recv(1024)[:1] == b"\xaa"


@shows("session_field_of_closing_ack", "session_field_of_data")
@pytest.mark.parametrize("of_data", ["index", "session"])
@pytest.mark.parametrize("of_ack", ["index", "size", "session"])
def test_bulk_frames_carry_their_index_a_size_or_the_session_in_the_session_field(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], of_data: str, of_ack: str
) -> None:
    terminal.fill_users(30)
    terminal.switches.update({"session_field_of_data": of_data, "session_field_of_closing_ack": of_ack})
    client = raw(terminal)
    frames = [client.ask(9, b"\5"), *(client.read() for _ in range(4))]

    session = client.session
    assert [frame.code for frame in frames] == [1500, 1501, 1501, 1501, 2000]
    assert frames[0].session == session
    assert [frame.session for frame in frames[1:4]] == {"index": [0, 1, 2], "session": [session] * 3}[of_data]
    assert frames[4].session == {"index": 2, "size": 2164, "session": session}[of_ack]


# Disable, restart, power


@shows("keep_disabled")
def test_a_terminal_may_enable_itself_when_its_client_vanishes(terminal: SimulatedTerminal) -> None:
    for keep in (True, False):
        terminal.switches.keep_disabled = keep
        with RawClient(terminal) as client:
            client.connect()
            client.ask(1003)
            assert terminal.disabled
        wait_until(lambda: terminal.sessions_open == 0)
        assert terminal.disabled == keep


@shows("disable_without_effect")
def test_disable_may_do_nothing(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.disable_without_effect = True

    assert raw(terminal).ask(1003).code == 2000
    assert not terminal.disabled
    assert terminal.disabled_spans() == []


@shows("timed_disable")
def test_disable_with_seconds_may_be_refused_or_have_its_time_ignored(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    one_second = (1).to_bytes(4, "little")

    terminal.switches.timed_disable = "refuse"
    assert client.ask(1003, one_second).code == 2001
    assert not terminal.disabled
    assert client.ask(1003, bytes(4)).code == 2000
    assert terminal.disabled
    client.ask(1002)

    terminal.switches.timed_disable = "ignore"
    assert client.ask(1003, one_second).code == 2000
    wait_until(lambda: terminal.disabled_spans()[-1] > 1.1)
    assert terminal.disabled


@shows("restart_ack", "restart_seconds")
def test_a_restart_may_come_without_an_answer(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = start(restart_ack=False, restart_seconds=0.2)
    client = raw(terminal)
    client.tell(1004)

    with pytest.raises(ConnectionError):
        client.read()
    assert not terminal.powered
    began = time.monotonic()
    wait_until(lambda: terminal.powered)
    assert time.monotonic() - began > 0.1


@shows("silent_restart")
def test_a_restart_may_leave_connections_dead(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1")
    client = raw(terminal)
    client.ask(500, b"\1\0\0\0")
    terminal.switches.silent_restart = True

    terminal.restart()
    terminal.punch("1")

    assert client.silent(QUIET_S)


@shows("refuse_refresh")
def test_refresh_may_be_refused(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.refuse_refresh = True

    assert raw(terminal).ask(1013).code == 2001


@shows("lacks")
def test_firmware_may_lack_commands(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.lacks = "DOORSTATE_RRQ,RESTART"
    client = raw(terminal)

    assert [client.ask(number).code for number in (75, 1004, 1013)] == [65535, 65535, 2000]


@shows("door_state")
def test_the_state_of_the_door_may_be_missing_or_unheard_of(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    said = []
    for form in ("byte", "none", "2"):
        terminal.switches.door_state = form
        said.append(client.ask(75).data)

    assert said == [b"\0", b"", b"\2"]


@shows("unknown_command", "unknown_option")
def test_what_is_unknown_gets_the_code_that_is_set(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.update({"unknown_command": 65533, "unknown_option": 4993})
    client = raw(terminal)

    assert client.ask(4242).code == 65533
    assert client.ask(11, b"~Nonsense\0").code == 4993


@shows("pin_width_reply")
@pytest.mark.parametrize(("reply", "data"), [("normal", b"\x09"), ("empty", b""), ("zero", b"\0")])
def test_the_pin_width_may_be_missing(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], reply: str, data: bytes
) -> None:
    terminal.switches.pin_width_reply = reply

    assert raw(terminal).ask(69).data == data


# Users


@shows("user_capacity", "full_code")
def test_a_full_table_answers_the_code_that_is_set(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.update({"user_capacity": 1, "full_code": 65531})
    client = raw(terminal)

    assert client.ask(8, user_72(1, "1")).code == 2000
    assert client.ask(8, user_72(2, "2")).code == 65531
    assert client.sizes()[15] == 1


@shows("uid_max")
@pytest.mark.parametrize(("uid_max", "highest"), [(65535, 65535), (100, 100), (0, 3)])
def test_a_uid_has_an_upper_bound(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], uid_max: int, highest: int
) -> None:
    terminal.switches.update({"uid_max": uid_max, "user_capacity": 3})
    client = raw(terminal)

    assert client.ask(8, user_72(highest, "1")).code == 2000
    if highest < 65535:
        assert client.ask(8, user_72(highest + 1, "2")).code == 2001


@shows("duplicate_user_id")
def test_a_user_id_may_be_taken_once_or_twice(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    client.ask(8, user_72(1, "7"))

    assert client.ask(8, user_72(2, "7")).code == 2000
    terminal.switches.duplicate_user_id = "reject"
    assert client.ask(8, user_72(3, "7")).code == 2001
    assert client.ask(8, user_72(1, "7", b"Ana")).code == 2000
    assert len(terminal.users()) == 2


@shows("user_id_width", "user_id_rule")
def test_a_user_id_is_checked_or_not(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.user_id_width = 5
    client = raw(terminal)

    assert client.ask(69).data == b"\5"
    assert client.ask(11, b"~PIN2Width\0").data == b"~PIN2Width=5\0"
    assert [client.ask(8, user_72(1, pin)).code for pin in ("12345", "123456", "AB1", "A-1", "")] == [
        2000,
        2001,
        2000,
        2001,
        2001,
    ]
    terminal.set_option("~IsABCPinEnable", "0")
    assert client.ask(8, user_72(1, "AB1")).code == 2001
    terminal.switches.user_id_rule = "accept"
    assert [client.ask(8, user_72(1, pin)).code for pin in ("AB1", "123456789012")] == [2000, 2000]


@shows("name_bytes")
def test_a_name_may_be_cut_within_a_character(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.switches.name_bytes = 5
    client = raw(terminal)

    client.ask(8, user_72(1, "1", "علی رضا".encode()))

    assert client.users()[0][11:35] == "علی".encode()[:5].ljust(24, b"\0")


@shows("encoding")
def test_names_typed_at_the_terminal_have_its_encoding(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.switches.encoding = "gbk"
    terminal.add_user("1", "李明")

    assert raw(terminal).users()[0][11:15] == "李明".encode("gbk")
    assert terminal.users()[0].name == "李明"


@shows("card_bits", "card_rule")
def test_a_long_card_number_is_refused_or_trimmed(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    assert client.ask(8, user_72(1, "1", card=0xFFFFFFFF)).code == 2000

    terminal.switches.card_bits = 24
    assert client.ask(8, user_72(2, "2", card=1 << 24)).code == 2001
    terminal.switches.card_rule = "trim"
    assert client.ask(8, user_72(2, "2", card=(1 << 24) + 5)).code == 2000

    assert [user.card for user in terminal.users()] == [0xFFFFFFFF, 5]


@shows("junk")
def test_rubbish_stands_after_the_nul_of_name_and_password(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("1", "Ned", password="444")
    client = raw(terminal)
    clean = client.users()[0]

    terminal.switches.junk = True
    dirty = client.users()[0]

    assert (dirty[3:7], dirty[11:15]) == (b"444\0", b"Ned\0")
    assert clean != dirty
    assert clean[:3] + clean[35:] == dirty[:3] + dirty[35:]


@shows("lazy_commit")
def test_a_written_user_may_appear_after_a_restart_only(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.switches.lazy_commit = True
    client = raw(terminal)
    assert client.ask(8, user_72(1, "1")).code == 2000
    assert client.sizes()[4] == 0

    terminal.restart()

    assert raw(terminal).sizes()[4] == 1


@shows("delete_without_effect", "delete_unknown")
def test_deleting_may_do_nothing_and_a_stranger_s_deletion_has_its_code(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("1")
    terminal.switches.update({"delete_without_effect": True, "delete_unknown": 2000})
    client = raw(terminal)

    assert client.ask(18, b"\1\0").code == 2000
    assert client.ask(18, b"\x63\0").code == 2000
    assert len(terminal.users()) == 1


@shows("honour_disabled_bit")
def test_a_disabled_user_is_kept_out_or_not(terminal: SimulatedTerminal) -> None:
    terminal.add_user("1")
    terminal.set_user_disabled("1", True)

    assert not terminal.punch("1")
    terminal.switches.honour_disabled_bit = False
    assert terminal.punch("1")
    terminal.switches.honour_disabled_bit = True
    terminal.set_user_disabled("1", False)
    assert terminal.punch("1")


@shows("record_tail", "users_shown")
def test_records_may_be_longer_and_fewer_than_the_sizes_count(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.fill_users(3)
    terminal.switches.update({"record_tail": 48, "users_shown": 2})
    client = raw(terminal)

    table_read = client.read_table(9, 5)

    assert (client.sizes()[4], len(table_read)) == (3, 4 + 2 * 120)
    assert table_read[4 + 120 : 4 + 192] == terminal.users()[1].raw
    assert table_read[4 + 72 : 4 + 120] == bytes(48)
    assert client.ask(8, user_72(9, "9")).code == 2001


@shows("access_control", "unset_slot_code")
def test_a_terminal_may_have_access_control_and_slots_that_were_never_set(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    zone = (2).to_bytes(4, "little")

    assert client.ask(27, zone).code == 4993
    terminal.switches.unset_slot_code = 2001
    assert client.ask(27, zone).code == 2001
    terminal.switches.access_control = False
    assert client.ask(27, zone).code == 65535


@shows("user_zones_flag")
def test_the_flag_of_a_users_zones_may_mean_the_group_or_the_user(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.fill_users(1)
    client, uid = raw(terminal), (1).to_bytes(4, "little")

    assert client.ask(23, uid).data[:2] == b"\1\0"
    terminal.switches.user_zones_flag = "own"
    assert client.ask(23, uid).data[:2] == b"\0\0"
    client.ask(24, uid + b"".join(word.to_bytes(4, "little") for word in (1, 1, 0, 0)))
    assert client.ask(23, uid).data == b"\1\0\1\0\0\0\0\0"


@shows("templates_by_nine")
def test_templates_may_be_read_by_9_and_2(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(1)
    terminal.add_template("1", 3)
    client = raw(terminal)
    by_nine = b"\1" + (9).to_bytes(2, "little") + (2).to_bytes(4, "little") + bytes(4)

    assert client.ask(1503, by_nine).code == 2001
    terminal.switches.templates_by_nine = True
    assert client.read_table(9, 2) == client.read_table(7, 2)


@shows("group_zero_locks_out")
def test_a_user_of_group_zero_may_be_kept_out(terminal: SimulatedTerminal) -> None:
    terminal.add_user("1", group=0)

    assert terminal.punch("1")
    terminal.switches.group_zero_locks_out = True
    assert not terminal.punch("1")
    assert terminal.display == "Invalid time period"


# Tables and bulk reads


@shows("count_offset")
def test_the_sizes_may_contradict_the_table(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(4)
    terminal.switches.count_offset = -1
    client = raw(terminal)

    assert client.sizes()[4] == 3
    assert len(client.read_table(9, 5)) == 4 + 4 * 72


@shows("sizes_length", "sizes_words")
def test_the_sizes_may_be_short_or_different(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    terminal.switches.update({"sizes_length": 76, "sizes_words": {"14": 77}})

    assert len(client.ask(50).data) == 76
    assert client.sizes()[14] == 77
    terminal.switches.sizes_length = 112
    assert len(client.ask(50).data) == 112


@shows("bulk_limit")
def test_too_many_records_are_not_read_at_once(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.fill_users(11)
    terminal.switches.bulk_limit = 10
    client = raw(terminal)

    assert client.prepare(9, 5).code == 2001
    terminal.switches.bulk_limit = 11
    assert client.prepare(9, 5).code == 1501


@shows("inline_max", "buffer_word")
def test_what_comes_at_once_has_a_limit_and_the_announcement_a_last_word(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.fill_users(2)
    terminal.switches.update({"inline_max": 147, "buffer_word": 0x01020304})
    client = raw(terminal)

    assert client.prepare(9, 5).data[9:] == b"\4\3\2\1"
    terminal.switches.inline_max = 148
    assert client.prepare(9, 5).code == 1501


@shows("packet_hint", "tcp_packet")
def test_prepare_data_announces_the_size_of_the_frames_or_the_hint(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.fill_users(100)
    terminal.switches.tcp_packet = 2000
    client = raw(terminal)
    client.prepare(9, 5)
    piece = bytes(4) + (5000).to_bytes(4, "little")

    assert client.ask(1504, piece).data.hex() == "88130000d0070000"
    assert [len(client.read().data) for _ in range(4)] == [2000, 2000, 1000, 0]
    terminal.switches.packet_hint = 0x1000
    assert client.ask(1504, piece).data.hex() == "8813000000100000"


@shows("attendance")
@pytest.mark.parametrize(("layout", "size"), [("8", 8), ("8b", 8), ("16", 16), ("40", 40), ("49", 49)])
def test_attendance_has_the_layout_that_is_set(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], layout: str, size: int
) -> None:
    terminal.add_user("1")
    terminal.punch("1")
    terminal.switches.attendance = layout

    assert len(raw(terminal).read_table(13)) == 4 + size


@shows("record_capacity", "log_full")
def test_a_full_log_refuses_a_punch_or_forgets_the_oldest(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    for user_id in ("1", "2", "3"):
        terminal.add_user(user_id)
    terminal.switches.record_capacity = 2
    assert [terminal.punch(user_id) for user_id in ("1", "2", "3")] == [True, True, False]
    assert terminal.display == "The clock is full"

    terminal.switches.log_full = "overwrite"
    assert terminal.punch("3")

    assert [punch.user_id for punch in terminal.attendance()] == ["2", "3"]
    assert raw(terminal).sizes()[16] == 2


@shows("tells_user_id_width", "user_id_kept")
def test_a_terminal_keeps_fewer_bytes_of_a_user_id_without_an_error(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.switches.update({"tells_user_id_width": False, "user_id_kept": 9, "user_id_rule": "accept"})
    client = raw(terminal)

    assert client.ask(11, b"~PIN2Width\0").code == 2001
    assert client.ask(8, user_72(5, "7")[:48] + b"1234567890".ljust(24, b"\0")).code == 2000
    assert [user.user_id for user in terminal.users()] == ["123456789"]


@shows("attendance_shown")
def test_a_log_reads_shorter_than_it_is_counted(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    for user_id in ("1", "2", "3"):
        terminal.add_user(user_id)
        terminal.punch(user_id)
    terminal.switches.attendance_shown = 2

    client = raw(terminal)
    assert client.sizes()[8] == 3
    assert len(client.read_table(13)) == 4 + 2 * 40


@shows("finger_capacity")
def test_templates_have_their_capacity(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1001")
    terminal.switches.finger_capacity = 1
    terminal.add_template("1001", 0)
    client = raw(terminal)

    client.ask(61, finger())
    told = [client.read() for _ in range(1)]
    client.tell(2000)
    for _ in range(6):
        told.append(client.read())
        client.tell(2000)

    assert told[-1].data == b"\4\0"
    assert sorted(terminal.templates()) == [(1, 0)]


@shows("delete_template_without_effect")
def test_deleting_a_finger_may_do_nothing(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1001")
    terminal.add_template("1001", 3)
    terminal.switches.delete_template_without_effect = True

    assert raw(terminal).ask(134, finger()).code == 2000
    assert sorted(terminal.templates()) == [(1, 3)]


@shows("faces", "face_capacity")
def test_the_sizes_may_count_faces(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    assert client.sizes()[20:] == [0, 0, 0]
    terminal.switches.update({"faces": 5, "face_capacity": 400})
    assert client.sizes()[20:] == [5, 0, 400]


@shows("template_tail")
@pytest.mark.parametrize(("tail", "sent"), [("one", b"abc\1"), ("zeros", b"abc" + bytes(7)), ("none", b"abc")])
def test_something_may_follow_a_template(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], tail: str, sent: bytes
) -> None:
    terminal.add_user("1")
    terminal.add_template("1", 0, b"abc")
    terminal.switches.template_tail = tail
    client = raw(terminal)

    assert client.read_bulk(client.ask(88, b"\1\0\0")) == sent
    assert client.read_bulk(client.ask(9, b"\1\0\0")) == b"abc"


@shows("delete_finger_zero")
def test_finger_zero_is_one_finger_or_all(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1")
    for number in range(3):
        terminal.add_template("1", number)
    client = raw(terminal)

    assert client.ask(19, b"\1\0\0").code == 2000
    assert sorted(terminal.templates()) == [(1, 1), (1, 2)]
    terminal.switches.delete_finger_zero = "all"
    assert client.ask(19, b"\1\0\0").code == 2000
    assert terminal.templates() == {}


# A person at the terminal


@shows("event")
@pytest.mark.parametrize("size", ["10", "12", "14", "32", "36", "37", "52"])
def test_the_event_of_a_punch_has_the_length_that_is_set(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], size: str
) -> None:
    terminal.add_user("1")
    terminal.switches.event = size
    client = raw(terminal)
    client.ask(500, b"\1\0\0\0")

    terminal.punch("1", when=WHEN)

    assert len(client.read().data) == int(size)


@shows("ack_wait", "enrolment_pace")
def test_the_steps_of_an_enrolment_wait_for_the_ack_and_for_the_person(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("1001")
    terminal.switches.update({"ack_wait": 0.05, "enrolment_pace": 0.05})
    client = raw(terminal)
    began = time.monotonic()
    client.ask(61, finger())

    assert [client.read().session for _ in range(7)] == [2, 256, 2, 256, 2, 256, 8]
    assert time.monotonic() - began >= 6 * 0.05 + 3 * 0.05


@shows("enrolment", "template_size")
def test_the_person_does_what_is_set(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1001")
    terminal.switches.update({"enrolment": "bad", "ack_wait": 0.0})
    client = raw(terminal)

    client.ask(61, finger())
    assert [client.read().data for _ in range(3)][-1] == b"\4\0"
    wait_until(lambda: not terminal.machine.terminal.enrolling)
    terminal.switches.update({"enrolment": "good", "template_size": 600})
    client.ask(61, finger())
    assert [client.read().data for _ in range(7)][-1][2:4] == (600).to_bytes(2, "little")


@shows("enrolment_timeout")
def test_an_enrolment_ends_after_its_time(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1001")
    terminal.switches.update({"enrolment": "wait", "enrolment_timeout": 0.1})
    client = raw(terminal)

    client.ask(61, finger())

    assert client.read().data == b"\6\0"


@shows("enrol_existing")
def test_a_stored_finger_is_refused_or_replaced(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1001")
    terminal.add_template("1001", 3, b"old")
    terminal.switches.ack_wait = 0.0
    client = raw(terminal)

    assert client.ask(61, finger()).code == 2001
    terminal.switches.enrol_existing = "replace"
    assert client.ask(61, finger()).code == 2000
    assert [client.read().session for _ in range(7)][-1] == 8
    assert terminal.templates()[1, 3].data != b"old"


@shows("enrol_form")
def test_an_enrolment_is_asked_for_by_text_or_by_number(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.switches.update({"enrolment": "wait", "enrol_form": "text"})
    terminal.add_user("5")
    terminal.add_user("53")
    client = raw(terminal)
    number, text = (5).to_bytes(4, "little") + b"\3", finger("5")

    assert [client.ask(61, form).code for form in (number, text)] == [2001, 2000]
    client.ask(62)
    terminal.switches.enrol_form = "number"
    assert [client.ask(61, form).code for form in (text, number)] == [2001, 2000]
    client.ask(62)
    terminal.switches.enrol_form = "first"
    assert client.ask(61, text).code == 2000
    wait_until(lambda: terminal.machine.enrolments.current is not None)
    assert terminal.machine.enrolments.current._uid == 2  # "5" is 53 as a number


@shows("knows_template_write")
def test_a_template_is_written_by_command_10_or_not(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1")
    client = raw(terminal)
    entry = bytes.fromhex("040001000001") + b"SS21"

    assert client.ask(10, entry).code == 65535
    terminal.switches.knows_template_write = True
    assert client.ask(10, entry).code == 2000


@shows("enrol_while_disabled")
@pytest.mark.parametrize("enrols", [True, False])
def test_a_disabled_terminal_enrols_or_waits(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], enrols: bool
) -> None:
    terminal.add_user("1001")
    terminal.switches.update({"enrol_while_disabled": enrols, "ack_wait": 0.0})
    client = raw(terminal)
    client.ask(1003)
    client.ask(61, finger())

    assert client.silent(QUIET_S) is not enrols


@shows("enrol_cancel")
def test_cancelling_sends_an_event_or_none(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1001")
    terminal.switches.enrolment = "wait"
    client = raw(terminal)

    client.ask(61, finger())
    client.ask(62)
    assert client.silent(QUIET_S)
    terminal.switches.enrol_cancel = "event"
    client.ask(61, finger())
    client.tell(62)
    told = {client.read().code: None for _ in range(2)}

    assert set(told) == {2000, 500}


@shows("unlock_unit")
def test_the_door_counts_tenths_or_seconds(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    client.ask(31, (2).to_bytes(4, "little"))
    wait_until(lambda: not terminal.door_open)
    terminal.switches.unlock_unit = "seconds"
    client.ask(31, (2).to_bytes(4, "little"))
    began = time.monotonic()
    wait_until(lambda: not terminal.door_open)

    assert time.monotonic() - began > 1.5


# The switches themselves


def test_every_switch_is_shown() -> None:
    assert set(table.names()) == SHOWN


def test_every_switch_has_a_meaning_and_a_source() -> None:
    assert [name for name, _default, meaning, source in table.rows() if not meaning or not source] == []


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("junk", "on", True),
        ("junk", "0", False),
        ("latency", "0.5", 0.5),
        ("unknown_command", "0xffff", 65535),
        ("delivery", "split-7", "split-7"),
        ("count_offset", "-3", -3),
        ("delays", '{"CONNECT": 0.5}', {"CONNECT": 0.5}),
    ],
)
def test_a_switch_is_set_by_text(name: str, text: str, value: object) -> None:
    switches = Switches()

    setattr(switches, name, text)

    assert getattr(switches, name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("junk", "maybe"),
        ("junk", 2),
        ("latency", -1),
        ("latency", "soon"),
        ("latency", True),
        ("delivery", "split-"),
        ("delivery", "split-0"),
        ("delivery", "carrier pigeon"),
        ("transport", 3),
        ("delays", "1"),
        ("no_such_switch", 1),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(name: str, value: int | str) -> None:
    with pytest.raises(ValueError, match=name):
        setattr(Switches(), name, value)


def test_of_several_values_all_or_none_are_taken() -> None:
    switches = Switches()

    with pytest.raises(ValueError, match="gap"):
        switches.update({"latency": 1, "gap": "wide"})

    assert switches == Switches()


def test_times_outside_the_calendar_are_kept_in_the_log(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    nonsense = wire.encode_time(datetime(2026, 2, 28)) + 2 * 86400
    terminal.add_punch(Punch(1, "1", 1, 0, nonsense))

    assert raw(terminal).read_table(13)[4:][27:31] == nonsense.to_bytes(4, "little")
