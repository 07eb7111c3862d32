"""A large table in pieces: asked for together, and one by one where a terminal does not take that."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.frames import asked
from tests.terminal.test_client import SESSION, Scripted, client_of
from zkbridge.contract.errors import ConnectionFailure, DeviceRejected
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.wire.records import Punch
from zkbridge.terminal.known import Pieces
from zkbridge.terminal.protocol import bulk_read
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.tables import MAX_USERS_BYTES
from zkbridge.terminal.protocol.wire import Frame
from zkbridge.terminal.session import Known, Session

#: A table of three pieces, and of one.
LARGE, SMALL = 2000, 500
KNOWN = Known(record_size=72, user_id_width=9)
SINGLY = KNOWN._replace(pieces=Pieces.SINGLY)
#: Round trips of a session that reads a large table and does nothing else, with its pieces in one.
FEW = len(["CONNECT", "DISABLE", "PREPARE_BUFFER", "all pieces", "FREE_DATA", "GET_FREE_SIZES", "ENABLE", "EXIT"])


@pytest.fixture
def large(start: Callable[..., SimulatedTerminal]) -> Callable[..., Any]:
    """A terminal with a large table, and a behaviour in the keywords."""

    def begin(**config: Any) -> SimulatedTerminal:
        terminal = start(**config)
        terminal.fill_users(LARGE)
        return terminal

    return begin


def read(
    talk: Callable[..., Session], terminal: SimulatedTerminal, known: Known = KNOWN, **settings: Any
) -> tuple[list[int], Known]:
    """The users that a session reads, and what it knows afterwards."""
    with talk(terminal, known=known, **settings) as session:
        return [user.uid for user in session.users()], session.known


def fail(talk: Callable[..., Session], terminal: SimulatedTerminal, known: Known, **settings: Any) -> Known:
    """What a session knows that breaks at the table."""
    with talk(terminal, known=known, **settings) as session, pytest.raises(ConnectionFailure):
        session.users()
    return session.known


@pytest.mark.parametrize("delivery", ["js", "separate", "coalesced", "split-16", "split-1000", "split-65000"])
def test_all_pieces_take_one_round_trip_however_they_are_delivered(
    large: Callable[..., Any], talk: Callable[..., Session], delivery: str
) -> None:
    terminal = large(delivery=delivery, split_delay=0)

    users, known = read(talk, terminal)

    assert users == list(range(1, LARGE + 1))
    assert asked(terminal).count("READ_BUFFER") == 3
    assert terminal.round_trips == FEW
    assert known == KNOWN


def test_more_pieces_than_fit_a_segment_are_asked_for_in_several_goes(
    large: Callable[..., Any], talk: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_read, "TOGETHER", 2)
    terminal = large()

    users, known = read(talk, terminal)

    assert users == list(range(1, LARGE + 1))
    assert terminal.round_trips == FEW + 1
    assert known == KNOWN


def test_so_many_requests_fit_one_segment_of_ethernet() -> None:
    assert bulk_read.TOGETHER * (8 + 8 + 8) <= 1500 - 20 - 20 - 12


def test_a_table_of_one_piece_teaches_nothing(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    terminal = start()
    terminal.fill_users(SMALL)

    _, known = read(talk, terminal)

    assert terminal.round_trips == len(asked(terminal)) == FEW
    assert known == KNOWN


def test_datagrams_are_never_asked_for_together(large: Callable[..., Any], talk: Callable[..., Session]) -> None:
    terminal = large()

    users, known = read(talk, terminal, transport="udp")

    assert users == list(range(1, LARGE + 1))
    assert terminal.round_trips == len(asked(terminal))
    assert asked(terminal).count("READ_BUFFER") == 9
    assert known == KNOWN


def test_punches_are_asked_for_one_by_one(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    terminal = start()
    terminal.add_user("1", "Ana")
    for _ in range(4000):
        terminal.add_punch(Punch(1, "1", 1, 0, 0))

    with talk(terminal, known=KNOWN) as session:
        assert len(session.attendance()) == 4000

    assert asked(terminal).count("READ_BUFFER") == 3
    assert terminal.round_trips == len(asked(terminal))


@pytest.mark.parametrize("behaviour", ["first", "last", "reset"])
def test_a_terminal_that_does_not_take_it_is_asked_one_by_one_after_two_failures(
    large: Callable[..., Any], talk: Callable[..., Session], behaviour: str
) -> None:
    terminal = large(several_requests=behaviour)
    everybody = list(range(1, LARGE + 1))

    doubted = fail(talk, terminal, KNOWN, timeout=0.3)
    users, retried = read(talk, terminal, doubted)
    singly = fail(talk, terminal, retried, timeout=0.3)
    for _ in range(2):
        again, still = read(talk, terminal, singly)

        assert (again, still) == (everybody, SINGLY)

    assert users == everybody
    steps = [known.pieces for known in (doubted, retried, singly)]
    assert steps == [Pieces.DOUBTED, Pieces.RETRIED, Pieces.SINGLY]
    assert not terminal.disabled


def test_a_network_that_failed_once_does_not_cost_the_terminal_its_name(
    large: Callable[..., Any], talk: Callable[..., Session]
) -> None:
    terminal = large()
    terminal.switches.reset_after = 100_000

    doubted = fail(talk, terminal, KNOWN)
    terminal.switches.reset_after = 0
    users, retried = read(talk, terminal, doubted)
    before = terminal.round_trips
    again, known = read(talk, terminal, retried)

    assert users == again == list(range(1, LARGE + 1))
    assert [doubted.pieces, retried.pieces, known.pieces] == [Pieces.DOUBTED, Pieces.RETRIED, Pieces.TOGETHER]
    assert terminal.round_trips - before == FEW


@pytest.mark.parametrize("switch", ["reset_after", "fin_after", "stall_after"])
@pytest.mark.parametrize("size", [10, 70_000, 140_000])
def test_no_part_of_a_table_is_taken_for_the_whole(
    large: Callable[..., Any], talk: Callable[..., Session], switch: str, size: int
) -> None:
    terminal = large()
    terminal.switches.update({switch: size})

    assert fail(talk, terminal, KNOWN, timeout=0.3).pieces is Pieces.DOUBTED


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "second", "last"])
def test_after_a_refused_piece_the_same_conversation_goes_on_one_by_one(
    large: Callable[..., Any], talk: Callable[..., Session], place: int
) -> None:
    terminal = large()
    terminal.faults.add("READ_BUFFER", "before", "refuse", skip=place)

    users, known = read(talk, terminal)

    assert users == list(range(1, LARGE + 1))
    assert terminal.connections_accepted == 1
    assert asked(terminal).count("READ_BUFFER") == 6
    assert known.pieces is Pieces.DOUBTED


def test_a_terminal_that_refuses_every_piece_is_the_same_error_as_before(
    large: Callable[..., Any], talk: Callable[..., Session]
) -> None:
    terminal = large()
    terminal.faults.add("READ_BUFFER", "before", "refuse", count=1000)

    with talk(terminal, known=KNOWN) as session, pytest.raises(DeviceRejected):
        session.users()


@pytest.mark.parametrize("do", ["late", "event"])
def test_events_and_late_pieces_do_no_harm(large: Callable[..., Any], talk: Callable[..., Session], do: str) -> None:
    terminal = large()
    terminal.faults.add("READ_BUFFER", "after", do, count=1000, **({"delay": 0.05} if do == "late" else {}))

    users, known = read(talk, terminal)

    assert users == list(range(1, LARGE + 1))
    assert known == KNOWN


@pytest.mark.parametrize("do", ["half", "garbage", "bad_checksum", "bad_reply_id", "silence", "close", "reset"])
def test_a_spoilt_piece_ends_the_conversation_and_is_read_singly_next_time(
    large: Callable[..., Any], talk: Callable[..., Session], do: str
) -> None:
    terminal = large()
    terminal.faults.add("READ_BUFFER", "after", do, skip=1)

    doubted = fail(talk, terminal, KNOWN, timeout=0.3)
    users, _ = read(talk, terminal, doubted)

    assert doubted.pieces is Pieces.DOUBTED
    assert users == list(range(1, LARGE + 1))


SIZE = 2 * bulk_read.TCP_PIECE


def pieces_of(*answers: Any) -> list[Frame]:
    """The frames with which a terminal answers two requests that came together."""
    return [
        frame
        for reply_id, data in answers
        for frame in (
            Frame(1500, SESSION, reply_id, len(data).to_bytes(4, "little") + bytes(4)),
            Frame(1501, SESSION, reply_id, data),
            Frame(2000, SESSION, reply_id, b""),
        )
    ]


ONE, OTHER = b"1" * bulk_read.TCP_PIECE, b"2" * bulk_read.TCP_PIECE
PREPARED = [Frame(2000, SESSION, None, b"\0" + SIZE.to_bytes(4, "little") * 2 + bytes(4))]


@pytest.mark.parametrize(
    ("answers", "whole"),
    [
        ([(2, ONE), (3, OTHER)], ONE + OTHER),
        ([(3, OTHER), (2, ONE)], None),
        ([(2, ONE), (2, OTHER)], None),
        ([(2, ONE), (9, OTHER)], None),
    ],
    ids=["in order", "in another order", "two answers to one request", "an answer to no request"],
)
def test_every_piece_must_answer_its_own_request(answers: list[tuple[int, bytes]], whole: Any) -> None:
    with Scripted(PREPARED, pieces_of(*answers), []) as terminal, client_of(terminal, timeout=0.3) as talking:
        if whole is None:
            with pytest.raises(ConnectionFailure):
                talking.bulk.table(Command.USERTEMP_RRQ, 5, together=True, most=MAX_USERS_BYTES)
            assert talking.bulk.took_together is False
        else:
            assert talking.bulk.table(Command.USERTEMP_RRQ, 5, together=True, most=MAX_USERS_BYTES) == (whole, SIZE)
            assert talking.bulk.took_together is True


def test_what_is_known_survives_in_the_ledger_s_text() -> None:
    assert Known.parse(str(SINGLY)) == SINGLY
    assert Known.parse('{"record_size": 28, "user_id_width": null, "timed_disable": false}') == Known(28, None, False)
