"""Requests and answers on one connection to a terminal: no answer can be taken for another request's.

A late answer, a duplicated datagram or an event never counts as the answer that is waited for. An error that breaks the
conversation closes the connection, which cannot be used again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected, TerminalError
from zkbridge.port.waker import Waker
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.channel import Channel, connect
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.protocol.deadline import Deadline, wait_readable
from zkbridge.terminal.protocol.event_queue import EventQueue
from zkbridge.terminal.protocol.failures import BREAKS, failure
from zkbridge.terminal.protocol.wire import Frame, Garbled, TooMuch

#: The longest event: those that are known have at most 52 bytes, and a terminal may put several punches together.
_MAX_EVENT = 4096
#: So many frames that are no answer are skipped while one is waited for; a terminal that sends more never stops.
_MAX_SKIPPED = 10_000
#: Frames of bulk data, in whose session field a K40 put a size (js_zklib#53).
_BULK = frozenset({Command.PREPARE_DATA, Command.DATA})


class Exchange:
    """The requests and answers of one connection. Each answer is whole in the device's timeout and before `deadline`.

    Methods that ask or receive raise ConnectionFailure when the conversation breaks, and DeviceRejected (`too_much`)
    when the terminal sends more than it was asked for: the connection is then closed, and every later call fails too.

    `events` are those that the terminal sent, oldest first. `heard_at` is when it last sent anything, in seconds of
    `time.monotonic`. `session` is the id that it gave the connection. `last` is the last answer, None before the first.
    `is_freeing`: the terminal has not confirmed yet that it freed its copy of a table; the next request waits for that.
    """

    def __init__(self, device: Device, deadline: Deadline) -> None:
        self._device = device
        self._channel: Channel | None = None
        self._broken: Callable[[], TerminalError] | None = None
        self._asked = 0  # requests so far; the reply id of the next one
        self._current = 0  # the number of the request whose answer is waited for
        self.is_udp = device.transport == "udp"
        self.deadline = deadline
        self.heard_at = 0.0
        self.events = EventQueue()
        self.session = 0
        self.last: Frame | None = None
        self.is_freeing = False

    @property
    def usable(self) -> bool:
        """Whether the connection is open and nothing about it is in doubt."""
        return self._channel is not None and self._broken is None

    def open(self) -> None:
        """Make the connection, and send nothing yet."""
        try:
            self._channel = connect(self._device.host, self._device.port, udp=self.is_udp, until=self.until())
        except BREAKS as error:
            raise self._failure(error) from error

    def close(self, *, reset: bool = False) -> None:
        """Close the connection; `reset` also drops what the terminal has not read yet."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close(reset=reset)

    def hang_up(self) -> None:
        """Close without waiting for an answer: the terminal sees a reset, or a last datagram with EXIT."""
        if self._channel is not None and self.is_udp:
            with suppress(*BREAKS):
                self._current = self.send(self._channel, [(Command.EXIT, b"")], Deadline.after(1))
        self.close(reset=True)

    def request(self, command: int, data: bytes = b"", *, most: int = wire.MAX_PIECE) -> Frame:
        """Ask, and return the first frame of the answer, whatever it says; it has at most `most` bytes."""
        with self.conversation() as channel:
            until = self.until()
            self._current = self.send(channel, [(command, data)], until)
            self.last = answer = self.next_frame(channel, until, own=command != Command.CONNECT, most=most)
        return answer

    def ask(self, command: int) -> None:
        """Ask without waiting; `take_answer` must follow before anything else is asked."""
        with self.conversation() as channel:
            self._current = self.send(channel, [(command, b"")], self.until())

    def take_answer(self) -> Frame:
        """The first frame of the answer to what `ask` asked."""
        with self.conversation() as channel:
            self.last = answer = self.next_frame(channel, self.until(), own=True)
        return answer

    def free(self) -> None:
        """Have the terminal free its copy of a table, without waiting; its answer, whatever it is, is skipped later."""
        self.ask(Command.FREE_DATA)
        self.is_freeing = True

    def ask_together(self, requests: Sequence[tuple[int, bytes]]) -> int:
        """Send several requests at once. Return the number of the first, for `take_answer_to`."""
        with self.conversation() as channel:
            return self.send(channel, requests, self.until())

    def take_answer_to(self, number: int) -> Frame:
        """The first frame of the answer to a request of `ask_together`; in the order in which they were asked."""
        self._current = number
        with self.conversation() as channel:
            return self.next_frame(channel, self.until())

    def event(self, until: Deadline, waker: Waker | None = None) -> Frame | None:
        """The next event; None when the time is over or the waker was used."""
        while not self.events:
            with self.conversation() as channel:
                if not channel.holds_frame() and not wait_readable(channel.fileno(), until, waker):
                    return None
                frame = channel.receive(Deadline.after(self._device.timeout), wire.MAX_PIECE)
                self.heard_at = time.monotonic()
                if frame.command == Command.EVENT:
                    self._keep_event(frame)
                elif not wire.is_earlier(frame.reply_id, self._asked % wire.REPLY_IDS, self._asked + 1):
                    raise Garbled(f"an answer to request {frame.reply_id}, which was not asked")
                elif frame.reply_id == self._current % wire.REPLY_IDS:
                    self.is_freeing = False  # that was its confirmation: the next request must not wait for it
        return self.events.popleft()

    def acknowledge(self) -> None:
        """Tell the terminal that its event has arrived; it does not answer (zk-protocol `realtime.md`)."""
        with self.conversation() as channel:
            channel.send(Frame(Code.OK, self.session, 0, b""), until=self.until())

    def rejected(self, operation: str) -> DeviceRejected:
        """The error for the last answer where it was not a success; `operation` says what was asked."""
        answer = self.last.command if self.last is not None else 0
        return DeviceRejected(
            "answer", host=self._device.host, port=self._device.port, operation=operation, answer=answer
        )

    # -- for answers of several frames ---------------------------------------------------------------------------

    def conversation(self) -> _Conversation:
        """The open channel, in a `with`; an error of `BREAKS` inside closes the connection for good.

        What is asked afterwards fails in the same way; as garbled after TooMuch, for it may succeed elsewhere.
        """
        if self._broken is not None:
            raise self._broken()
        if self._channel is None:
            raise self._failure(EOFError())
        if self.deadline.passed:
            raise self._failure(TimeoutError())  # nothing was asked: the connection is as good as before
        return _Conversation(self._channel, self._break)

    def until(self) -> Deadline:
        """When an answer that is asked for now must be whole."""
        return self.deadline.within(self._device.timeout)

    def send(self, channel: Channel, requests: Sequence[tuple[int, bytes]], until: Deadline) -> int:
        """Send requests in one go; the number of the first, counted from the beginning of the connection."""
        if self.is_freeing:
            self.is_freeing = False
            self.next_frame(channel, until)
        if until.passed:
            raise TimeoutError
        first = self._asked
        self._asked += len(requests)
        frames = [
            Frame(command, self.session, number % wire.REPLY_IDS, data)
            for number, (command, data) in enumerate(requests, first)
        ]
        channel.send(*frames, until=until)
        return first

    def next_frame(self, channel: Channel, until: Deadline, *, own: bool = False, most: int = wire.MAX_PIECE) -> Frame:
        """The next frame of the answer to the current request; events are kept in `events`, late answers skipped.

        `own` skips answers of another session too. In a stream there are none, and some terminals put a size or a
        state in that field (js_zklib#53, pyzatt); but a datagram may be left from an earlier use of this port.
        """
        reply_id = self._current % wire.REPLY_IDS
        for _ in range(_MAX_SKIPPED):
            frame = channel.receive(until, most)
            self.heard_at = time.monotonic()
            if frame.command == Command.EVENT:
                self._keep_event(frame)
            elif frame.reply_id == reply_id:
                if not (own and self._is_stray(frame)):
                    return frame
            elif not wire.is_earlier(frame.reply_id, reply_id, self._current + 1):
                raise Garbled(f"an answer to request {frame.reply_id}, which was not asked")
        raise TooMuch(f"{_MAX_SKIPPED} frames, and no answer among them")

    def _keep_event(self, event: Frame) -> None:
        if len(event.data) > _MAX_EVENT:
            raise TooMuch(f"an event of {len(event.data)} bytes")
        self.events.append(event)

    def _is_stray(self, frame: Frame) -> bool:
        return self.is_udp and frame.command not in _BULK and frame.session != self.session

    def _break(self, error: Exception) -> TerminalError:
        found = self._failure(error)
        later = self._failure(Garbled()) if isinstance(error, TooMuch) else found
        # An error of its own each time: the traceback of one that was raised holds all that was received.
        self._broken = partial(_renewed, type(later), later.reason, later.facts)
        self.hang_up()
        return found

    def _failure(self, error: Exception) -> TerminalError:
        return failure(error, self._device.host, self._device.port)


class _Conversation:
    """A context manager for one use of a channel.

    A class, because one made of a generator takes as long as building a frame.
    """

    __slots__ = ("_channel", "_on_break")

    def __init__(self, channel: Channel, on_break: Callable[[Exception], TerminalError]) -> None:
        self._channel = channel
        self._on_break = on_break

    def __enter__(self) -> Channel:
        return self._channel

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BREAKS):
            raise self._on_break(error) from error


def _renewed(kind: type[TerminalError], reason: str, facts: dict[str, Any]) -> TerminalError:
    return kind(reason, **facts)
