"""A connection to a simulated terminal, as the bridge's exchange uses one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from torture.simulated.disabled import DisabledTimes
from torture.simulated.machine import Waitable, here
from torture.simulated.punch_log import PunchLog
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.wire import Frame

#: Seconds for one frame to arrive.
LATENCY_S = 0.004


class Far(Protocol):
    """The terminal at the other end."""

    channels: list[Wire]
    fates: deque[str]
    log: PunchLog
    times: DisabledTimes
    at_close: Callable[[], object] | None

    def answer(self, request: Frame, channel: Wire, /) -> None:
        """Do what a frame asks for, and answer it."""

    def note_sent(self, record: bytes, /) -> None:
        """The bridge has sent a user's record."""


class Wire(Waitable):
    """A connection to a terminal, as `zkbridge.terminal.protocol.channel.Channel` is one."""

    __slots__ = ("_due", "_inbox", "_terminal", "closed", "listens", "number", "severed")

    def __init__(self, terminal: Far) -> None:
        super().__init__()
        self.number = here().number(self)
        self.listens = False
        self.closed = False
        self.severed = False  #: the terminal has reset it, and gets nothing any more
        self._terminal = terminal
        self._due = 0.0  #: when what was sent last arrives
        self._inbox: deque[Frame | Exception] = deque()
        self.take_place()

    def take_place(self) -> None:
        """Be known to the terminal: as soon as the connection is made."""
        self._terminal.channels.append(self)

    def readable(self) -> bool:
        """Whether something has come."""
        return bool(self._inbox)

    def push(self, what: Frame | Exception, *, delay: float = 0.0) -> None:
        """Have something arrive at the bridge, behind what was pushed before."""
        machine = here()
        self._due = max(self._due, machine.now + delay)
        if self._due <= machine.now:
            self.arrive(what)
        else:
            machine.after(self._due - machine.now, lambda: self.arrive(what))

    def arrive(self, what: Frame | Exception) -> None:
        """It is here: what the bridge does not read any more is lost."""
        if not self.closed:
            if isinstance(what, Frame) and what.command == Command.EVENT:
                self._terminal.log.note_arrived(self.number, what.data)
            self._inbox.append(what)
            here().wake(self)

    def send(self, *frames: Frame, until: Deadline) -> None:
        """As Channel.send: the terminal gets the frames also if the bridge is killed meanwhile."""
        del until
        machine = here()
        machine.point("terminal")
        for frame in frames:
            if frame.command == Command.USER_WRQ:
                self._terminal.note_sent(frame.data)
            self._carry(LATENCY_S, partial(self._terminal.answer, frame, self))

    def sever(self) -> None:
        """The terminal resets it: what is under way to the terminal is lost."""
        self.severed = True
        self.push(ConnectionResetError())

    def _carry(self, seconds: float, deliver: Callable[[], object]) -> None:
        """Have something arrive at the terminal."""
        here().after(seconds, lambda: None if self.severed else deliver())

    def receive(self, until: Deadline, most: int = 0) -> Frame:
        """As Channel.receive."""
        del most
        machine = here()
        while not self._inbox:
            if machine.now >= until.at:
                raise TimeoutError
            machine.block([self], until.at)
        machine.point("answer")
        if isinstance(found := self._inbox[0], Exception):
            raise found
        self._inbox.popleft()
        return found

    def fileno(self) -> int:
        """The number to poll."""
        return self.number

    def holds_frame(self) -> bool:
        """Whether something was read ahead."""
        return False

    def close(self, *, reset: bool = False) -> None:
        """As Channel.close."""
        del reset
        self.closed = True
        if self._terminal.at_close is not None and here().current is not None:
            happen, self._terminal.at_close = self._terminal.at_close, None
            happen()
        if self in self._terminal.channels:
            self._terminal.channels.remove(self)


#: What may become of a datagram: after how many seconds more each copy of it arrives.
FATES: dict[str, tuple[float, ...]] = {
    "on time": (0.0,),
    "lost": (),
    "twice": (0.0, 0.001),
    "behind others": (0.03,),
    "late": (4.0,),  # later than the bridge waits for an answer
}


class UdpWire(Wire):
    """A port from which datagrams go to a terminal: the terminal knows of it when CONNECT arrives, until EXIT does.

    The terminal's `fates` are met by the next datagrams, one each. No request is so late that the bridge has given it
    up: what a terminal does then, no bridge can know.
    """

    __slots__ = ()

    def take_place(self) -> None:
        """Nothing is sent for a connection to be made."""

    def push(self, what: Frame | Exception, *, delay: float = 0.0) -> None:
        """Have datagrams arrive, each as its fate is."""
        for late in self._fate():
            here().after(LATENCY_S + delay + late, partial(self.arrive, what))

    def _carry(self, seconds: float, deliver: Callable[[], object]) -> None:
        for late in self._fate():
            here().after(seconds + min(late, FATES["behind others"][0]), deliver)

    def _fate(self) -> tuple[float, ...]:
        fate = self._terminal.fates.popleft() if self._terminal.fates else "on time"
        if fate != "on time":
            self._terminal.times.disturbed.append(here().now)
        return FATES[fate]

    def close(self, *, reset: bool = False) -> None:
        """As Channel.close: the terminal does not hear of it."""
        del reset
        self.closed = True
