"""A connection to a simulated terminal, as the bridge's exchange uses one."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Protocol

from torture.simulated.machine import Waitable, here
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.wire import Frame

#: Seconds for one frame to arrive.
LATENCY_S = 0.004


class Far(Protocol):
    """The terminal at the other end."""

    channels: list[Wire]

    def answer(self, request: Frame, channel: Wire, /) -> None:
        """Do what a frame asks for, and answer it."""

    def note_sent(self, record: bytes, /) -> None:
        """The bridge has sent a user's record."""


class Wire(Waitable):
    """A connection to a terminal, as `zkbridge.terminal.protocol.channel.Channel` is one."""

    __slots__ = ("_inbox", "_terminal", "closed", "listens", "number")

    def __init__(self, terminal: Far) -> None:
        super().__init__()
        self.number = here().number(self)
        self.listens = False
        self.closed = False
        self._terminal = terminal
        self._inbox: deque[Frame | Exception] = deque()
        terminal.channels.append(self)

    def readable(self) -> bool:
        """Whether something has come."""
        return bool(self._inbox)

    def push(self, what: Frame | Exception) -> None:
        """Have something arrive at the bridge."""
        if not self.closed:
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
            machine.after(LATENCY_S, partial(self._terminal.answer, frame, self))

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
        if self in self._terminal.channels:
            self._terminal.channels.remove(self)
