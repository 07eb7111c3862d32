"""The rules of the simulated world about how long people are kept off a terminal, and its datagrams."""

import math
from dataclasses import dataclass, field

import pytest

from torture.simulated.disabled import ATTEMPT_S, SESSION_S, DisabledTimes, judge_disabled
from torture.simulated.machine import HERE, Machine
from torture.simulated.udp import UdpTerminal
from torture.simulated.wire import UdpWire, Wire
from zkbridge.bridge.probes import PENDING_FIRST_S
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.wire import Frame


@dataclass
class Listening(UdpTerminal):
    """A terminal that notes the ids of the requests that arrive."""

    heard: list[int] = field(default_factory=list)

    def answer(self, request: Frame, channel: Wire) -> None:
        """Note it."""
        del channel
        self.heard.append(request.reply_id)


@pytest.fixture
def machine() -> Machine:
    """A machine on which nothing runs."""
    HERE.machine = Machine()
    return HERE.machine


def found(machine: Machine, seconds: float, *, trouble_at: float | None = None) -> list[str]:
    """What is found where people were kept off for so long; `trouble_at`: something was met so long after the start."""
    times, began = DisabledTimes(), machine.now
    times.begin(None)
    machine.now += seconds
    times.end()
    return list(judge_disabled("a", times, [] if trouble_at is None else [began + trouble_at]))


def test_a_session_within_its_time_is_allowed(machine: Machine) -> None:
    assert found(machine, SESSION_S) == []


def test_a_session_that_lasts_longer_is_found(machine: Machine) -> None:
    assert found(machine, SESSION_S + 1) == [
        "people were kept off a for 6.0 s, 1.0 s longer than the contract allows",
    ]


def test_after_a_trouble_the_next_attempt_must_enable_the_terminal(machine: Machine) -> None:
    most = 10 + (10 + PENDING_FIRST_S) + ATTEMPT_S

    assert found(machine, most, trouble_at=10) == []
    assert found(machine, most + 1, trouble_at=10) != []


def test_a_trouble_that_came_before_the_terminal_was_disabled_allows_no_more(machine: Machine) -> None:
    assert found(machine, SESSION_S + 1, trouble_at=-60) != []


def test_the_first_thing_after_a_start_is_to_enable_the_terminal(machine: Machine) -> None:
    times, began = DisabledTimes(), machine.now
    times.begin(None)
    machine.now += 200 + ATTEMPT_S + 1
    times.end()

    assert len(list(judge_disabled("a", times, [began + 100], [began + 200]))) == 1
    assert list(judge_disabled("a", times, [began + 100], [began + 201])) == []
    assert list(judge_disabled("a", times, [began + 205], [began + 200])) == []  # it met something after the start


def test_a_terminal_that_is_never_enabled_is_found_at_the_end(machine: Machine) -> None:
    times = DisabledTimes()
    times.begin(None)
    machine.now += 3600

    assert len(list(judge_disabled("a", times, []))) == 1


@pytest.mark.usefixtures("machine")
def test_a_terminal_that_enables_itself_is_not_told_to_stay_disabled_for_longer_than_a_session() -> None:
    times = DisabledTimes()
    times.begin(math.ceil(SESSION_S))
    times.begin(60)

    assert list(judge_disabled("a", times, [])) == ["a terminal is disabled for 60 s"]


def test_a_disabled_time_that_is_over_is_one_span_and_the_next_is_another(machine: Machine) -> None:
    times = DisabledTimes()
    times.begin(5)
    machine.now += 20
    assert not times.is_on

    times.begin(5)
    machine.now += 1
    times.end()

    assert [span.ended - span.began for span in times.all_spans()] == [5, 1]


def test_an_enable_that_comes_after_the_terminal_enabled_itself_does_not_lengthen_the_time(machine: Machine) -> None:
    times = DisabledTimes()
    times.begin(5)
    machine.now += 20
    times.end()

    assert [span.ended - span.began for span in times.all_spans()] == [5]


@pytest.mark.parametrize(
    ("fate", "arrivals"), [("on time", [1]), ("lost", []), ("twice", [1, 1]), ("behind others", [1]), ("late", [1])]
)
def test_a_request_by_datagram_meets_its_fate(machine: Machine, fate: str, arrivals: list[int]) -> None:
    terminal = Listening("c", tell=lambda _sentence: None)
    terminal.fates.append(fate)

    UdpWire(terminal).send(Frame(Command.CONNECT, 0, 1, b""), until=Deadline.after(1))
    while machine.next_moment() is not None:
        machine.advance()

    assert terminal.heard == arrivals


def test_a_late_answer_arrives_behind_a_later_one(machine: Machine) -> None:
    terminal = UdpTerminal("c", tell=lambda _sentence: None)
    terminal.fates += ["behind others", "on time"]
    wire = UdpWire(terminal)
    wire.push(Frame(Command.DATA, 0, 1, b""))
    wire.push(Frame(Command.DATA, 0, 2, b""))
    while machine.next_moment() is not None:
        machine.advance()

    assert [wire.receive(Deadline.after(1)).reply_id for _ in range(2)] == [2, 1]


def test_a_request_that_is_under_way_when_the_terminal_resets_the_connection_does_not_arrive(machine: Machine) -> None:
    terminal = Listening("a", tell=lambda _sentence: None)
    wire = Wire(terminal)
    wire.send(Frame(Command.USER_WRQ, 0, 1, bytes(72)), until=Deadline.after(1))

    wire.sever()
    while machine.next_moment() is not None:
        machine.advance()

    assert terminal.heard == []
    with pytest.raises(ConnectionResetError):
        wire.receive(Deadline.after(1))
