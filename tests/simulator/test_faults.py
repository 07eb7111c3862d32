"""Faults by frame: before and after the effect, counted, and gone when used up."""

from collections.abc import Callable
from time import monotonic

import pytest

from tests.simulator.raw import RawClient, summed, user_72
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.network.faults import ACTIONS

QUIET_S = 0.15
ENDINGS = [("close", "closed"), ("reset", "reset")]


@pytest.mark.parametrize(("action", "ending"), ENDINGS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_ends_before_or_after_the_user_is_written(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], action: str, ending: str, when: str
) -> None:
    terminal.faults.add("USER_WRQ", when, action)
    client = raw(terminal)

    client.tell(8, user_72(1, "1"))

    assert client.ended() == ending
    assert len(terminal.users()) == (when == "after")


@pytest.mark.parametrize(("action", "ending"), ENDINGS)
def test_a_connection_ends_within_the_answer(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], action: str, ending: str
) -> None:
    terminal.faults.add(1100, "after", action, after_bytes=20)
    client = raw(terminal)
    client.tell(1100)

    received = client.socket.recv(20)

    assert len(received) == 20
    assert client.ended() == ending


@pytest.mark.parametrize(("when", "written"), [("before", 0), ("after", 1)])
def test_an_answer_that_never_comes_leaves_the_connection_usable(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], when: str, written: int
) -> None:
    terminal.faults.add(8, when, "silence")
    client = raw(terminal)

    client.tell(8, user_72(1, "1"))
    assert client.silent(QUIET_S)

    assert client.ask(1013).code == 2000
    assert len(terminal.users()) == written


@pytest.mark.parametrize("size", [None, 3])
def test_half_an_answer(terminal: SimulatedTerminal, raw: Callable[..., RawClient], size: int | None) -> None:
    terminal.faults.add("GET_FREE_SIZES", "after", "half", after_bytes=size)
    client = raw(terminal)
    client.tell(50)

    assert len(client.socket.recv(1024)) == (size or (8 + 8 + 92) // 2)
    assert client.silent(QUIET_S)


def test_rubbish_for_an_answer(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.faults.add("GET_VERSION", "after", "garbage")
    client = raw(terminal)
    client.tell(1100)

    rubbish = client.socket.recv(1024)

    assert len(rubbish) == 16 + 21
    assert not rubbish.startswith(b"\x50\x50\x82\x7d")


def test_a_trickle_takes_its_time_and_is_whole(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.faults.add("CONNECT", "after", "trickle", delay=0.01)
    client = raw(terminal, connect=False)
    began = monotonic()

    assert client.ask(1000).code == 2000
    assert monotonic() - began > 0.15


@pytest.mark.parametrize(("when", "at_once"), [("before", 0), ("after", 1)])
def test_a_late_answer_comes_with_its_effect_before_or_after_the_delay(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], when: str, at_once: int
) -> None:
    terminal.faults.add(8, when, "late", delay=0.2)
    client = raw(terminal)
    client.tell(8, user_72(1, "1"))
    wait_until(lambda: terminal.counts[8] == 1)

    assert client.silent(0.05)
    assert len(terminal.users()) == at_once
    assert client.read().code == 2000
    assert len(terminal.users()) == 1


def test_an_effect_comes_late_although_the_client_has_left(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.faults.add(8, "before", "late", delay=0.1)
    client = raw(terminal)
    client.tell(8, user_72(1, "1"))
    wait_until(lambda: terminal.counts[8] == 1)
    client.close()

    wait_until(lambda: len(terminal.users()) == 1)


def test_what_takes_long_has_other_clients_and_the_keypad_wait(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    """Or a write could have its effect after a later ENABLE, on a uid that somebody has taken by then."""
    terminal.faults.add(8, "before", "late", delay=0.3)
    slow, other = raw(terminal), raw(terminal)
    slow.tell(8, user_72(1, "1"))
    wait_until(lambda: terminal.counts[8] == 1)
    other.tell(1002)

    assert other.silent(0.05)
    with terminal.keypad() as usable:
        assert not usable
    assert other.read().code == 2000
    assert len(terminal.users()) == 1
    with terminal.keypad() as usable:
        assert usable


def test_a_terminal_that_lost_its_power_has_its_hands_free_again(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.faults.add(8, "before", "late", delay=60)
    client = raw(terminal)
    client.tell(8, user_72(1, "1"))
    wait_until(lambda: terminal.counts[8] == 1)
    terminal.restart()

    assert raw(terminal).ask(1002).code == 2000
    with terminal.keypad() as usable:
        assert usable


def test_the_keypad_of_a_terminal_that_is_disabled_or_off_does_nothing(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    client.ask(1003)
    with terminal.keypad() as usable:
        assert not usable
    client.ask(1002)
    with terminal.keypad() as usable:
        assert usable
    terminal.power_off()
    with terminal.keypad() as usable:
        assert not usable


def test_an_event_pushes_itself_before_the_answer(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("5")
    terminal.faults.add("OPTIONS_RRQ", "after", "event")
    client = raw(terminal)
    client.tell(11, b"~Platform\0")

    assert (client.read().code, client.read().code) == (500, 2000)


@pytest.mark.parametrize(("when", "written"), [("before", 0), ("after", 1)])
def test_a_refusal_with_and_without_effect(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], when: str, written: int
) -> None:
    terminal.faults.add(8, when, "refuse", code=65533)

    assert raw(terminal).ask(8, user_72(1, "1")).code == 65533
    assert len(terminal.users()) == written


def test_an_answer_comes_twice(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.faults.add(50, "after", "twice")
    client = raw(terminal, udp=True)
    client.tell(50)

    assert client.read().raw == client.read().raw


def test_a_wrong_checksum(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.faults.add(50, "after", "bad_checksum")
    client = raw(terminal)
    client.tell(50)

    assert summed(client.read_packet()) not in {0, 0xFFFF}


def test_another_request_s_reply_id(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.faults.add(50, "after", "bad_reply_id")
    client = raw(terminal)
    sent = client.tell(50)

    assert client.read().reply_id != sent


@pytest.fixture
def datagrams(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> Callable[..., list[bytes]]:
    """Ask for a table of 100 users by UDP; nine DATA datagrams stand between PREPARE_DATA and the ACK."""
    terminal.fill_users(100)

    def read(count: int) -> list[bytes]:
        client = raw(terminal, udp=True)
        client.prepare(9, 5)
        client.tell(1504, bytes(4) + (7204).to_bytes(4, "little"))
        frames = [client.read() for _ in range(count)]
        assert client.silent(0.02)
        return [frame.data[:8] if frame.code == 1501 else frame.code for frame in frames]

    return read


def test_datagrams_are_lost_doubled_and_swapped(
    terminal: SimulatedTerminal, datagrams: Callable[..., list[bytes]]
) -> None:
    whole = datagrams(10)

    terminal.faults.add(1504, "after", "lose", frame=3)
    assert datagrams(9) == whole[:3] + whole[4:]
    terminal.faults.add(1504, "after", "repeat", frame=3)
    assert datagrams(11) == [*whole[:4], whole[3], *whole[4:]]
    terminal.faults.add(1504, "after", "swap", frame=3)
    assert datagrams(10) == [*whole[:3], whole[4], whole[3], *whole[5:]]


@pytest.mark.parametrize(("when", "written"), [("before", 0), ("after", 1)])
def test_the_power_fails_before_or_after_the_effect(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], when: str, written: int
) -> None:
    terminal.faults.add(8, when, "power_off")
    client = raw(terminal)
    client.tell(8, user_72(1, "1"))

    assert client.ended() == "reset"
    assert len(terminal.users()) == written
    assert not terminal.powered


def test_the_keypad_may_be_used_between_two_frames(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.faults.add("PREPARE_BUFFER", "before", lambda here: here.add_user("77"))
    client = raw(terminal)

    assert client.sizes()[4] == 0
    assert len(client.read_table(9, 5)) == 4 + 72


def test_a_function_may_take_the_power_without_blocking_the_simulator(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.faults.add(50, "before", lambda here: here.power_off())
    client = raw(terminal)
    client.tell(50)

    assert client.ended() in {"reset", "closed"}
    wait_until(lambda: not terminal.powered)


def test_a_fault_skips_some_answers_then_applies_count_times(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.faults.add("*", "after", "refuse", skip=1, count=2)
    client = raw(terminal)

    assert [client.ask(1013).code for _ in range(3)] == [2001, 2001, 2000]
    assert terminal.faults.waiting() == ()


def test_faults_are_cleared(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.faults.add("*", "before", "close", count=100)
    terminal.faults.clear()

    assert raw(terminal).ask(50).code == 2000


def test_a_fault_is_given_as_text(terminal: SimulatedTerminal) -> None:
    fault = terminal.faults.add_text("on=user_wrq,when=before,do=late,delay=1.5,count=3,skip=1,after_bytes=4,frame=2")

    assert (fault.on, fault.when, fault.do, fault.delay) == (8, "before", "late", 1.5)
    assert (fault.count, fault.skip, fault.after_bytes, fault.frame) == (3, 1, 4, 2)


@pytest.mark.parametrize(
    "text", ["on=8,do=explode", "on=8,when=later", "do=close", "on=NOPE", "on=8,x=1", "on", "on=8,count=x"]
)
def test_a_text_that_is_no_fault_is_an_error(terminal: SimulatedTerminal, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        terminal.faults.add_text(text)


def test_each_action_is_explained() -> None:
    assert all(ACTIONS.values())


def test_a_fault_hits_one_client_and_spares_the_next(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.faults.add(50, "after", "close")
    first = raw(terminal)
    first.tell(50)
    assert first.ended() == "closed"

    with RawClient(terminal) as second:
        second.connect()
        assert second.ask(50).code == 2000
