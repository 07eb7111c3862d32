"""The simulator and the second terminal have the same conversation; where they disagree, the captures decide."""

# ruff: noqa: DTZ001  a terminal knows no time zone

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.second_terminal import conversation
from tests.second_terminal.conversation import ATTENDANCE, USERS, Seen, Talker, record
from tests.second_terminal.enrolment import Person
from tests.second_terminal.memory import Memory
from tests.second_terminal.server import SecondTerminal
from tests.simulator.raw import RawClient
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

KEY = 1234
WHEN = datetime(2026, 5, 10, 8, 0, 15)

#: Disagreements of which the simulator is not rid yet: what it should do, and by which section of the facts.
#: A line whose disagreement is gone fails too: remove it.
OPEN_IN_ANSWERS: dict[str, str] = {}
OPEN_IN_EVENTS: dict[str, str] = {}


@dataclass(frozen=True)
class Pair:
    """Two terminals of one kind, and how they are spoken to."""

    simulated: SimulatedTerminal
    second: SecondTerminal
    wide: bool
    udp: bool

    def ask_both(self, *parts: Any) -> dict[str, str]:
        """Have each part of a conversation with both; what they did differently."""
        first, second = (self.talk(terminal, *parts) for terminal in (self.simulated, self.second))
        return conversation.disagreements(conversation.sound(first), conversation.sound(second))

    def talk(self, terminal: SimulatedTerminal | SecondTerminal, *parts: Any) -> dict[str, list[Seen]]:
        """Connect with the key, and have each part; every terminal has users 101 and 102."""
        with RawClient(terminal, udp=self.udp) as client:
            talker = Talker(client, wide=self.wide)
            assert client.connect(KEY).code == 2000
            for part in parts:
                part(talker, terminal)
            return talker.said


#: The frame of bulk data on TCP: one of those that are captured (C3).
KINDS = [
    ("tft", "tcp", 1008),
    ("tft", "tcp", 65528),
    ("tft", "tcp", 65536),
    ("tft", "udp", 1008),
    ("bw", "tcp", 1008),
    ("bw", "udp", 1008),
]


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A terminal of 72 and 40 bytes, and one of 28 and 16, each by TCP and by UDP."""
    profile, transport, frame = request.param
    wide = profile == "tft"
    memory = Memory(wide=wide, punch_size=40 if wide else 16, face_block=wide)
    config = TerminalConfig(profile=profile, transport="both", comm_key=KEY, tcp_packet=frame)
    # A tft is like a K40, whose closing ACK carries the size (js_zklib#53).
    with Simulator() as simulator, SecondTerminal(memory, key=KEY, frame=frame, size_in_closing_ack=wide) as second:
        simulated = simulator.add(config)
        if not wide:
            # What a terminal says of itself is its own matter; these are the simulator's.
            memory.options.update({name: simulated.option(name) or "" for name in memory.options})
            memory.user_capacity = simulated.switches.user_capacity
            memory.finger_capacity = simulated.switches.finger_capacity
            memory.punch_capacity = simulated.switches.record_capacity
        yield Pair(simulated, second, wide, transport == "udp")


def alone(part: Any) -> Any:
    """A part that needs the client only."""
    return lambda talker, _terminal: part(talker)


def two_users(talker: Talker, _terminal: object) -> None:
    for uid in (1, 2):
        talker.ask(f"write user {uid} first", 8, record(uid, 100 + uid, wide=talker.wide))


def full_tables(talker: Talker, terminal: SimulatedTerminal | SecondTerminal) -> None:
    """Tables of more than one frame, read in one piece, in halves, and directly."""
    for minute in range(60):
        terminal.punch("101", verify=15, state=1, when=WHEN.replace(minute=minute))
    talker.read_buffered("attendance", ATTENDANCE, 65472)
    talker.ask("direct: attendance", 13)
    for uid in range(3, 61):
        talker.ask(f"fill the table: {uid}", 8, record(uid, 100 + uid, wide=talker.wide))
    talker.read_buffered("users", USERS, 65472)
    talker.read_buffered("users in parts", USERS, 1200)
    talker.ask("direct: users", 9, b"\5")


def assert_known(found: dict[str, str], known: dict[str, str]) -> None:
    """Fail for what was found and is not known, with both answers, and for what is known and was not found."""
    assert "\n".join(f"{kind}\n  {example}" for kind, example in found.items() if kind not in known) == ""
    assert known.keys() - found.keys() == set()


def test_both_answer_every_request_alike(pair: Pair) -> None:
    found = pair.ask_both(
        alone(conversation.questions),
        alone(conversation.changes),
        alone(conversation.fingers),
        full_tables,
        alone(conversation.endings),
    )

    assert_known(found, OPEN_IN_ANSWERS)


def test_both_send_the_events_of_an_enrolment_alike(pair: Pair) -> None:
    found = pair.ask_both(two_users, lambda talker, _: conversation.enrolment(talker, "102", 6, events=7))

    assert_known(found, {})


@pytest.mark.parametrize("person", [Person.SHOWS_A_KNOWN_FINGER, Person.SHOWS_IT_BADLY, Person.IS_AWAY])
def test_both_report_a_failed_enrolment_alike(pair: Pair, person: Person) -> None:
    """What the person does has the same name at the simulator."""
    pair.simulated.switches.enrolment = person.value
    if person is Person.IS_AWAY:
        pair.simulated.switches.enrolment_timeout = 0.1
    pair.second.person = person

    def fails(talker: Talker, terminal: SimulatedTerminal | SecondTerminal) -> None:
        two_users(talker, terminal)
        enrolment = struct.pack("<24sBB", b"102", 6, 1) if talker.wide else struct.pack("<IB", 102, 6)
        talker.ask("61 that fails", 61, enrolment)
        talker.events_until_silence("how an enrolment fails")

    assert_known(pair.ask_both(fails), {})


def test_both_keep_zones_groups_and_combinations_alike(pair: Pair) -> None:
    """Records of 28 bytes have no place for the zones as documented, and nobody has seen what they do."""
    parts = (alone(conversation.access),) if pair.wide else ()

    assert_known(pair.ask_both(two_users, *parts), {})


def punches(talker: Talker, terminal: SimulatedTerminal | SecondTerminal) -> None:
    """Two people punch: by card and by password, so that no finger is pressed."""
    talker.ask("register for punches", 500, b"\1\0\0\0")
    terminal.punch("101", verify=2, state=1, when=WHEN)
    talker.events("a punch by card", 1)
    terminal.punch("102", verify=0, state=5, when=WHEN)
    talker.events("a punch by password", 1)
    talker.ask("register for nothing", 500, bytes(4))


def test_both_send_punches_alike(pair: Pair) -> None:
    if not pair.wide:
        # The form of the manual of 2006 (3.11).
        pair.simulated.switches.event = "10"

    assert_known(pair.ask_both(two_users, punches), {})


def fingers_at_the_reader(talker: Talker, terminal: SimulatedTerminal | SecondTerminal) -> None:
    """What a client is told that registered for everything (zk-protocol: `ff ff 00 00`)."""
    talker.ask("register for everything", 500, bytes.fromhex("ff ff 00 00"))
    terminal.punch("101", verify=1, when=WHEN)
    talker.events_until_silence("a punch by finger")
    terminal.punch("997", verify=1, when=WHEN)
    talker.events_until_silence("an unknown finger")
    talker.ask("register for nothing again", 500, bytes(4))
    talker.ask("disable before an enrolment", 1003)
    enrolment = struct.pack("<24sBB", b"102", 6, 1) if talker.wide else struct.pack("<IB", 102, 6)
    talker.ask("61 while disabled", 61, enrolment)
    talker.events_until_silence("the finger of an enrolment while disabled", at_most=1)


def test_both_send_events_of_fingers_alike(pair: Pair) -> None:
    if not pair.wide:
        pair.simulated.switches.event = "10"

    assert_known(pair.ask_both(two_users, fingers_at_the_reader), OPEN_IN_EVENTS)
