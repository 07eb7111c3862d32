"""Begins and ends a conversation with a terminal: lock, connect, disable; enable, EXIT, close, unlock."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from traceback import clear_frames
from types import TracebackType
from typing import Self, TypeVar

from zk.exception import ZKErrorResponse

from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected, DeviceTimeout, DeviceUnreachable, TerminalError
from zkbridge.terminal.disabled_time import DisabledTime, now
from zkbridge.terminal.known import Known
from zkbridge.terminal.line import PersistentConnection
from zkbridge.terminal.locks import Waiting, ignore
from zkbridge.terminal.opening import Opening
from zkbridge.terminal.protocol.client import Client
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.tables import MAX_USERS_BYTES, Unreadable
from zkbridge.terminal.protocol.wire import Frame

log = logging.getLogger(__name__)

#: The longest that one attempt at the end of a conversation may take (seconds); a terminal that works needs far less.
CLOSING_S = 10.0

T = TypeVar("T")


class Conversation:
    """A `with` that holds the terminal's lock, a connection, and the terminal disabled if so wanted.

    Entering raises what the contract says of a terminal that cannot be reached or says no. Leaving raises nothing:
    what was done is done, and `pending_enable` says whether the terminal may have been left disabled. `enabled` says
    whether it has confirmed to be enabled at the end, `known` what is known of it by now. `disabled_s` is for how long
    people were kept off it; one that has not confirmed counts with all the time after which it enables itself.
    `enable_first`: an earlier conversation may have left it disabled, so it is enabled first.
    With a `line` its lock and connection are used, and stay.
    """

    def __init__(
        self,
        device: Device,
        *,
        deadline: Deadline,
        known: Known | None = None,
        disable_for: int | None = None,
        enable_first: bool = False,
        lock_dir: Path | None = None,
        waiting: Waiting = ignore,
        line: PersistentConnection | None = None,
    ) -> None:
        self.device = device
        self.known = known or Known()
        self.pending_enable = False
        self.enabled = False
        self._disable_for = disable_for
        self._enable_first = enable_first
        self._opening = Opening(device, deadline, lock_dir, waiting, line)
        self._client: Client
        self._disabled = DisabledTime()
        self._enable_asked = False
        self._end = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as begun:
            self._client = self._opening.take(begun)
            begun.callback(self._leave)
            self._opening.start(self._client)
            if self._enable_first:
                with suppress(DeviceRejected):
                    self.enable()
            if self._disable_for is not None:
                self._disable(self._disable_for)
            self._end = begun.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()
        if error is not None:
            self._forget()
            forget_values(error)

    def _forget(self) -> None:
        """Drop what was read: an error that is kept keeps this conversation in memory."""

    def extend(self, deadline: Deadline) -> None:
        """Set another deadline for what follows: one session serves several requests."""
        self._client.deadline = deadline

    @property
    def ended(self) -> bool:
        """Whether the conversation has ended: the connection is closed, or in doubt."""
        return not self._client.usable

    @property
    def disabled_s(self) -> float:
        """The seconds for which the terminal was disabled, as far as that has ended."""
        return self._disabled.total

    def disabled_for(self) -> float:
        """The seconds since DISABLE was sent to the terminal; 0 while it is not disabled."""
        return self._disabled.so_far()

    @property
    def disables(self) -> bool:
        """Whether the terminal is disabled, so that it can be changed."""
        return self._disable_for is not None

    @property
    def lapsed(self) -> bool:
        """Whether the time for which it was disabled is over, or too near for one more change to be safe in it."""
        return not self._disabled.lasts(self.device.timeout / 2)

    def keep_disabled(self, at_least: float, *, longer: float = 0.0) -> bool:
        """Whether it was disabled without a break and still is for `at_least` so many seconds.

        If its time is short it is disabled again, for `longer` than at first; if that came too late, somebody may
        have used the terminal in between, and what was read of it is worth nothing.
        """
        since, until = self._disabled.since, self._disabled.until
        if self._disable_for is None or until is None or until - now() >= at_least:
            return True
        self._disable(self._disable_for + math.ceil(longer))
        return self._disabled.renewed(since, until)

    def enable(self) -> None:
        """Enable the terminal again."""
        self.pending_enable = True  # it may have been disabled by others
        self._do("ENABLE", self._client.enable_device)
        self._note_enabled()

    def _disable(self, seconds: int) -> None:
        """Disable for this many seconds, or until enabled where the terminal accepts no time.

        Source: zk-protocol `other.md` (DisableDeviceWithTimeOut); pyzk 0.9 knows the form without time only.
        """
        self.pending_enable = True  # from here on it may be disabled, also when no answer comes
        timed = self.known.timed_disable
        asked_at = now()  # the terminal's own clock runs from about here, however late its answer is
        answer = self._client.request(Command.DISABLE, struct.pack("<I", seconds) if timed else b"")
        if timed and answer.command != Code.OK:
            timed = False
            asked_at = now()
            answer = self._client.request(Command.DISABLE)
        if answer.command != Code.OK:
            self.pending_enable = self._disabled.since is not None
            raise self._client.rejected("DISABLE")
        self.known = self.known._replace(timed_disable=timed)
        self._disabled.begin(asked_at, seconds if timed else None)

    def begin_to_enable(self) -> None:
        """Ask to enable if that is pending; the end of the conversation takes the answer. Raises nothing."""
        if self.pending_enable and self._client.usable:
            self._client.deadline = self._closing()
            with suppress(TerminalError):
                self._client.ask(Command.ENABLE)
                self._enable_asked = True

    def _leave(self) -> None:
        try:
            self._client.deadline = self._closing()
            if self.pending_enable:
                self._let_people_in()
            if self._opening.keeps(self._client):
                return
            self._client.disconnect()
        finally:
            self._opening.give_back(self._client)
            self._disabled.give_up()

    def _let_people_in(self) -> None:
        """Enable; on a new connection if this one is broken.

        It is done even after the deadline, for people wait at the terminal.
        """
        if self._client.usable:
            with suppress(TerminalError):
                self._end_to_enable() if self._enable_asked else self.enable()
                return
        self._client.hang_up()
        self._client = Client(self.device, self._closing())
        try:
            self._client.connect()
            self.enable()
        except TerminalError as failure:
            log.warning("device=%s may have been left disabled: %s", self.device.id, failure)

    def _end_to_enable(self) -> None:
        if self._client.take_answer().command != Code.OK:
            raise self._client.rejected("ENABLE")
        self._note_enabled()

    def _note_enabled(self) -> None:
        self.pending_enable = False
        self.enabled = True
        self._disabled.end()

    def _closing(self) -> Deadline:
        return Deadline.after(min(self.device.timeout, CLOSING_S))

    def _do(self, operation: str, ask: Callable[[], T]) -> T:
        """Call a method of pyzk; its exceptions become errors of the contract."""
        try:
            return ask()
        except ZKErrorResponse:
            raise self._client.rejected(operation) from None
        except (struct.error, ValueError, IndexError) as error:
            # pyzk decodes an answer without a check: it was too short, or no text or date.
            self._client.hang_up()
            raise DeviceUnreachable("garbled", host=self.device.host, port=self.device.port) from error

    def _change(self, operation: Command, data: bytes) -> Frame:
        """Send a change that was planned by the table as it was read. Raises DeviceTimeout if that may be out of date.

        The protocol knows no "only if it is still free": nothing but the disabled time keeps others off the same
        uid. So it is looked at last thing before the request leaves. What is left is a process that is stopped
        between this look and the next line for longer than half a timeout; that can only be found out afterwards.
        """
        if self.lapsed:
            raise DeviceTimeout(host=self.device.host, port=self.device.port)
        answer = self._client.request(operation, data)
        if not self._disabled.lasts(0):
            log.warning(
                "device=%s let people in again while %s was under way: compare what was entered at its keypad just now",
                self.device.id,
                operation.name,
            )
        return answer

    def _command(self, operation: Command, data: bytes = b"") -> Frame:
        """Send a command that must be answered with ACK_OK. Raises DeviceRejected."""
        answer = self._client.request(operation, data)
        if answer.command != Code.OK:
            raise self._client.rejected(operation.name)
        return answer

    def _read(
        self,
        reason: str,
        command: Command,
        table: int = 0,
        *,
        shifted: bool = False,
        together: bool = False,
        give_up: Callable[[], bool] = lambda: False,
        most: int = MAX_USERS_BYTES,
    ) -> bytes:
        """A whole table, with its length before it. Raises DeviceRejected for this reason where it is refused."""
        return bytes(self._view(reason, command, table, shifted=shifted, together=together, give_up=give_up, most=most))

    def _view(
        self,
        reason: str,
        command: Command,
        table: int = 0,
        *,
        most: int,
        shifted: bool = False,
        together: bool = False,
        give_up: Callable[[], bool] = lambda: False,
    ) -> memoryview:
        """As `_read`, without a copy: for a table that may be large. `most` is what a terminal can hold of it."""
        try:
            data, _size = self._client.bulk.table(
                command, table, shifted=shifted, together=together, give_up=give_up, most=most
            )
        except ZKErrorResponse:
            raise self._unreadable(reason, f"answer {self._client.answer}") from None
        except Unreadable as error:
            raise self._unreadable(reason, str(error)) from None
        return data

    def _unreadable(self, reason: str, detail: str) -> DeviceRejected:
        return DeviceRejected(reason, host=self.device.host, port=self.device.port, detail=detail)


def forget_values(error: BaseException) -> None:
    """Drop the values of the functions that have ended with this error, and with those that led to it.

    They hold all that was received, for as long as anybody keeps the error: until a retry succeeds, for instance.
    """
    led_to: BaseException | None = error
    while led_to is not None:
        clear_frames(led_to.__traceback__)
        led_to = led_to.__cause__ or led_to.__context__
