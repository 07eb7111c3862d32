"""The frames of one users/create, and what can go wrong with each: the rows of the fault matrix."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

#: Seconds that a terminal of the matrix has for one answer, and that requests share a session.
TIMEOUT_S, BUDGET_S = 0.8, 0.5
KEY = 4321
#: An answer that comes too late for its request, and in time to meet the next one.
LATE_S = 1.5 * TIMEOUT_S
#: In how many answers a fault shows up when it shows up always.
ALWAYS = 1000


@dataclass(frozen=True)
class FrameOf:
    """One request of the sequence: a command of the simulator, and how many of the same come before it."""

    name: str
    command: str
    skip: int = 0


FRAMES = (
    FrameOf("connect", "CONNECT"),
    FrameOf("auth", "AUTH"),
    FrameOf("disable", "DISABLE"),
    FrameOf("prepare table (1503)", "PREPARE_BUFFER"),
    FrameOf("piece of table (1504)", "READ_BUFFER"),
    FrameOf("free table (1502)", "FREE_DATA"),
    FrameOf("sizes", "GET_FREE_SIZES"),
    FrameOf("width of user_id", "OPTIONS_RRQ"),
    FrameOf("write", "USER_WRQ"),
    FrameOf("refresh", "REFRESHDATA"),
    FrameOf("sizes afterwards", "GET_FREE_SIZES", skip=1),
    FrameOf("enable", "ENABLE"),
    FrameOf("exit", "EXIT"),
)


@dataclass(frozen=True)
class FaultOf:
    """One thing that goes wrong, in the simulator's words."""

    name: str
    when: str
    do: str
    delay: float = 0.0


TCP_FAULTS = (
    FaultOf("closed before the effect", "before", "close"),
    FaultOf("closed before the answer", "after", "close"),
    FaultOf("reset before the effect", "before", "reset"),
    FaultOf("reset before the answer", "after", "reset"),
    FaultOf("half an answer", "after", "half"),
    FaultOf("garbage", "after", "garbage"),
    FaultOf("silence, no effect", "before", "silence"),
    FaultOf("silence", "after", "silence"),
    FaultOf("a byte a second", "after", "trickle", 1.0),
    FaultOf("late effect", "before", "late", LATE_S),
    FaultOf("late answer", "after", "late", LATE_S),
    FaultOf("an event first", "after", "event"),
    FaultOf("refused", "before", "refuse"),
)

UDP_FAULTS = (
    FaultOf("request lost", "before", "silence"),
    FaultOf("answer lost", "after", "silence"),
    FaultOf("first datagram lost", "after", "lose"),
    FaultOf("first datagram twice", "after", "repeat"),
    FaultOf("datagrams swapped", "after", "swap"),
    FaultOf("the whole answer twice", "after", "twice"),
    FaultOf("garbage", "after", "garbage"),
    FaultOf("late effect", "before", "late", LATE_S),
    FaultOf("late answer", "after", "late", LATE_S),
    FaultOf("an event first", "after", "event"),
    FaultOf("refused", "before", "refuse"),
)


@dataclass(frozen=True)
class Variant:
    """One kind of terminal."""

    name: str
    title: str
    profile: str
    transport: str
    faults: tuple[FaultOf, ...]

    @property
    def frames(self) -> tuple[FrameOf, ...]:
        """A 28-byte record holds the user_id as a number: nobody asks for its width."""
        return tuple(frame for frame in FRAMES if self.profile == "tft" or frame.command != "OPTIONS_RRQ")

    def cases(self) -> Iterator["Case"]:
        """Every frame with every fault, once and always."""
        for frame in self.frames:
            for fault in self.faults:
                for count in (1, ALWAYS):
                    yield Case(self, frame, fault, count)


VARIANTS = (
    Variant("tcp72", "TCP, 72-byte records", "tft", "tcp", TCP_FAULTS),
    Variant("tcp28", "TCP, 28-byte records", "bw", "tcp", TCP_FAULTS),
    Variant("udp72", "UDP, 72-byte records", "tft", "udp", UDP_FAULTS),
    Variant("udp28", "UDP, 28-byte records", "bw", "udp", UDP_FAULTS),
)


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    variant: Variant
    frame: FrameOf
    fault: FaultOf
    count: int

    def __str__(self) -> str:
        often = "once" if self.count == 1 else "always"
        return f"{self.variant.name}, {self.frame.name}, {self.fault.name}, {often}"

    @property
    def says_goodbye(self) -> bool:
        """Over UDP, a terminal that never hears the goodbye cannot know that the session has ended."""
        return self.variant.transport == "tcp" or self.frame.command != "EXIT"

    def start(self, simulator: Simulator) -> SimulatedTerminal:
        """A terminal of its own, well so far."""
        return new_terminal(simulator, self.variant.profile, transport=self.variant.transport)

    def settings(self) -> dict[str, Any]:
        """What the daemon is told of it, besides its address."""
        return {"comm_key": KEY, "transport": self.variant.transport}

    def spoil(self, terminal: SimulatedTerminal) -> None:
        """Make the fault wait for its frame."""
        fault = self.fault
        terminal.faults.add(
            self.frame.command, fault.when, fault.do, count=self.count, skip=self.frame.skip, delay=fault.delay
        )


def new_terminal(simulator: Simulator, profile: str, users: int = 3, **switches: Any) -> SimulatedTerminal:
    """A terminal with a key and some users; its table is read in pieces, so that every frame there is comes up."""
    terminal = simulator.add(TerminalConfig(profile=profile, comm_key=KEY, inline_max=16, **switches))
    terminal.fill_users(users)
    return terminal
