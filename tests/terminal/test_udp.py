"""Tables over datagrams, which may be lost, come twice, or change places."""

from collections.abc import Callable

import pytest

from zkbridge.contract.errors import ConnectionFailure, TerminalError
from zkbridge.simulator import Command, Punch, SimulatedTerminal
from zkbridge.simulator.wire.codes import command_name
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.terminal.session import Known, Session

KNOWN = Known(record_size=72, user_id_width=9)


@pytest.fixture
def full(start: Callable[..., SimulatedTerminal]) -> SimulatedTerminal:
    """A terminal with 100 users, whose table takes eight datagrams."""
    terminal = start()
    terminal.fill_users(100)
    return terminal


def pieces_asked(terminal: SimulatedTerminal) -> int:
    return sum(
        exchange.direction == "in" and command_name(exchange.command) == "READ_BUFFER" for exchange in terminal.log
    )


def is_right(terminal: SimulatedTerminal, users: RecordTable) -> bool:
    return [user.record for user in users] == [user.raw for user in terminal.users()]  # type: ignore[comparison-overlap]  # opaque to all but the room


@pytest.mark.parametrize("frame", range(9))
def test_a_piece_of_which_something_was_lost_is_asked_for_again(
    full: SimulatedTerminal, talk: Callable[..., Session], frame: int
) -> None:
    """Frame 0 announces the piece, 1 to 8 are its data; frame 9, the closing ACK, is not needed."""
    full.faults.add("READ_BUFFER", "after", "lose", frame=frame)

    with talk(full, transport="udp", known=KNOWN) as session:
        assert is_right(full, session.users())

    assert pieces_asked(full) == 2


def test_a_lost_closing_acknowledgement_costs_nothing(full: SimulatedTerminal, talk: Callable[..., Session]) -> None:
    full.faults.add("READ_BUFFER", "after", "lose", frame=9)

    with talk(full, transport="udp", known=KNOWN) as session:
        assert is_right(full, session.users())

    assert pieces_asked(full) == 1


@pytest.mark.parametrize("frame", range(10))
def test_a_datagram_that_comes_twice_is_taken_once(
    full: SimulatedTerminal, talk: Callable[..., Session], frame: int
) -> None:
    full.faults.add("READ_BUFFER", "after", "repeat", frame=frame)

    with talk(full, transport="udp", known=KNOWN) as session:
        assert is_right(full, session.users())
        assert session.count() == 100


def test_one_datagram_twice_does_not_make_up_for_another_that_was_lost(
    full: SimulatedTerminal, talk: Callable[..., Session]
) -> None:
    full.faults.add("READ_BUFFER", "after", "repeat", frame=3)
    full.faults.add("READ_BUFFER", "after", "lose", frame=5)

    with talk(full, transport="udp", known=KNOWN) as session:
        assert is_right(full, session.users())


@pytest.mark.parametrize("field", ["index", "session"])
@pytest.mark.parametrize("packet", [1008, 1024, 500])
@pytest.mark.parametrize("frame", range(9))
def test_datagrams_that_change_places_make_no_false_table(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], packet: int, frame: int, field: str
) -> None:
    full = start(udp_packet=packet, session_field_of_data=field)
    full.fill_users(100)
    full.faults.add("READ_BUFFER", "after", "swap", frame=frame)

    with talk(full, transport="udp", known=KNOWN) as session:
        assert is_right(full, session.users())


def test_a_piece_that_is_never_whole_ends_the_conversation(
    full: SimulatedTerminal, talk: Callable[..., Session]
) -> None:
    full.faults.add("READ_BUFFER", "after", "lose", frame=4, count=3)

    with pytest.raises(ConnectionFailure) as caught, talk(full, transport="udp", known=KNOWN) as session:
        session.users()

    assert caught.value.reason == "garbled"
    assert not full.disabled


@pytest.mark.parametrize("profile", ["tft", "bw"])
def test_over_a_bad_network_a_table_is_right_or_not_there(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], profile: str
) -> None:
    terminal = start(profile=profile, udp_loss=0.03, udp_duplicate=0.05, udp_reorder=0.05)
    terminal.fill_users(300)
    read = 0

    for _ in range(25):
        try:
            with talk(terminal, transport="udp", timeout=0.2, disable_for=None) as session:
                users = session.users()
        except TerminalError:
            continue
        read += 1
        assert is_right(terminal, users)

    assert read > 0


@pytest.mark.parametrize("field", ["index", "session"])
@pytest.mark.parametrize("packet", [1008, 1024])
@pytest.mark.parametrize("frame", range(9))
def test_datagrams_that_change_places_are_noticed_although_uids_are_in_no_order(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], packet: int, frame: int, field: str
) -> None:
    """Datagrams of 1008 bytes cut a table of 28-byte records just before each user_id.

    Those without a number are read a second time in others, those with one are put in order.
    """
    terminal = start(profile="bw", udp_packet=packet, session_field_of_data=field)
    for uid in range(400, 100, -1):
        terminal.add_user(str(uid), f"U{uid}", uid=uid)
    terminal.faults.add("READ_BUFFER", "after", "swap", frame=frame)

    with talk(terminal, transport="udp") as session:
        assert is_right(terminal, session.users())

    readings = [each for each in terminal.log if each.direction == "in" and each.command == Command.PREPARE_BUFFER]
    assert (len(readings) > 1) is (field == "session")


@pytest.mark.parametrize("fault", ["none", "repeat", "swap"])
def test_datagrams_of_the_same_contents_are_distinguished_by_their_number(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], fault: str
) -> None:
    """A finger that is read five times in a second: datagrams of 25 records each, all alike."""
    terminal = start(udp_packet=1000)
    terminal.add_user("1", "Ana")
    for _ in range(100):
        terminal.add_punch(Punch(1, "1", 1, 0, 700_000_000))
    if fault != "none":
        terminal.faults.add("READ_BUFFER", "after", fault, frame=2)

    with talk(terminal, transport="udp", known=KNOWN, timeout=1) as session:
        assert len(session.attendance()) == 100


def test_datagrams_of_the_same_contents_without_a_number_are_refused(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    terminal = start(udp_packet=1000, session_field_of_data="session")
    for _ in range(100):
        terminal.add_punch(Punch(1, "1", 1, 0, 700_000_000))

    with pytest.raises(ConnectionFailure), talk(terminal, transport="udp", known=KNOWN, timeout=1) as session:
        session.attendance()


def test_uids_in_order_need_no_second_reading(full: SimulatedTerminal, talk: Callable[..., Session]) -> None:
    full.switches.session_field_of_data = "session"

    with talk(full, transport="udp", known=KNOWN) as session:
        session.users()

    assert pieces_asked(full) == 1


def test_a_table_with_a_strange_user_in_it_is_read_as_it_is(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    terminal = start()
    terminal.fill_users(3)
    terminal.machine.terminal.users.stored[0] = bytes(72)

    with talk(terminal, transport="udp", known=KNOWN) as session:
        assert len(session.users()) == 4
