"""How a conversation with a terminal begins and ends: lock, connect, disable; enable, say goodbye, close, unlock."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from zk.exception import ZKErrorResponse

from zkbridge.config import Device
from zkbridge.contract.errors import DeviceRejected, DeviceUnreachable, TerminalError
from zkbridge.terminal.client import Client
from zkbridge.terminal.codes import Code, Command
from zkbridge.terminal.deadline import Deadline
from zkbridge.terminal.locks import hold
from zkbridge.terminal.users import RecordSize
from zkbridge.terminal.wire import Frame

log = logging.getLogger(__name__)

#: The most that one try at the end of a conversation may take; a terminal that answers at all needs far less.
CLOSING_S = 10.0

T = TypeVar("T")


@dataclass(frozen=True)
class Known:
    """What earlier conversations taught about a terminal; None where that is nothing yet."""

    record_size: RecordSize | None = None
    user_id_width: int | None = None
    timed_disable: bool = True


class Conversation:
    """A `with` that holds the terminal's lock, a connection, and the terminal disabled if so wanted.

    Entering raises what the contract says of a terminal that cannot be reached or says no. Leaving raises nothing:
    what was done is done, and `owes_enable` says whether the terminal may have been left disabled. `enabled` says
    whether it has confirmed to be enabled at the end, `known` what is known of it by now. `disabled_s` is for how long
    people were kept off it; one that has not confirmed counts with all the time after which it enables itself.
    """

    def __init__(
        self,
        device: Device,
        *,
        deadline: Deadline,
        known: Known | None = None,
        disable_for: int | None = None,
        lock_dir: Path | None = None,
    ) -> None:
        self.device = device
        self.known = known or Known()
        self.owes_enable = False
        self.enabled = False
        self.disabled_s = 0.0
        self._deadline = deadline
        self._disable_for = disable_for
        self._lock_dir = lock_dir
        self._client: Client
        self._disabled_at: float | None = None
        self._disabled_until: float | None = None
        self._enable_asked = False
        self._end = ExitStack()

    def __enter__(self) -> Self:
        address = f"{self.device.host}:{self.device.port}"
        with ExitStack() as begun:
            begun.enter_context(hold(address, lock_dir=self._lock_dir, deadline=self._deadline))
            self._client = Client(self.device, self._deadline)
            begun.callback(self._leave)
            self._client.connect()
            if self._disable_for is not None:
                self._disable(self._disable_for)
            self._end = begun.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()

    def extend(self, deadline: Deadline) -> None:
        """Another deadline for what follows: a session that is held serves several requests."""
        self._client.deadline = deadline

    def disabled_for(self) -> float:
        """The seconds since the terminal said that it is disabled; 0 while it is not."""
        return 0.0 if self._disabled_at is None else time.monotonic() - self._disabled_at

    @property
    def lapsed(self) -> bool:
        """Whether the time for which it was disabled is over: somebody may be using the terminal again."""
        return self._disabled_until is not None and time.monotonic() >= self._disabled_until

    def keep_disabled(self, at_least: float) -> bool:
        """Disable again if the time for which that was done ends within some seconds; whether it was needed.

        A slow read may have outlasted it: somebody may have used the terminal meanwhile.
        """
        if self._disable_for is None or self._disabled_until is None:
            return False
        if self._disabled_until - time.monotonic() >= at_least:
            return False
        began = self._disabled_at
        self._disable(self._disable_for)
        self._disabled_at = began
        return True

    def enable(self) -> None:
        """Let people use the terminal again."""
        self.owes_enable = True  # as far as we know somebody has disabled it
        self._do("ENABLE", self._client.enable_device)
        self._note_enabled()

    def _disable(self, seconds: int) -> None:
        """Keep people off for so many seconds, or until enabled where the terminal takes no time.

        Source: zk-protocol `other.md` (DisableDeviceWithTimeOut); pyzk 0.9 knows the form without time only.
        """
        self.owes_enable = True  # from here on it may be disabled, also when no answer comes
        timed = self.known.timed_disable
        answer = self._client.request(Command.DISABLE, struct.pack("<I", seconds) if timed else b"")
        if timed and answer.command != Code.OK:
            timed = False
            answer = self._client.request(Command.DISABLE)
        if answer.command != Code.OK:
            self.owes_enable = self._disabled_at is not None
            raise self._client.rejected("DISABLE")
        self.known = replace(self.known, timed_disable=timed)
        self._disabled_at = time.monotonic()
        self._disabled_until = self._disabled_at + seconds if timed else None

    def begin_to_enable(self) -> None:
        """Ask to enable, if that is owed, and go on; the end of the conversation takes the answer. Raises nothing."""
        if self.owes_enable and self._client.usable:
            self._client.deadline = self._closing()
            with suppress(TerminalError):
                self._client.ask(Command.ENABLE)
                self._enable_asked = True

    def _leave(self) -> None:
        try:
            self._client.deadline = self._closing()
            if self.owes_enable:
                self._let_people_in()
            self._client.disconnect()
        finally:
            self._client.hang_up()
            self.disabled_s += self._still_disabled_for()

    def _let_people_in(self) -> None:
        """Enable; if the connection is no good any more, on a new one. Late or not: people stand at the door."""
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
        self.owes_enable = False
        self.enabled = True
        self.disabled_s += self.disabled_for()
        self._disabled_at = self._disabled_until = None

    def _still_disabled_for(self) -> float:
        if self._disabled_at is None or self._disabled_until is None:
            return self.disabled_for()
        return max(self.disabled_for(), self._disabled_until - self._disabled_at)

    def _closing(self) -> Deadline:
        return Deadline.after(min(self.device.timeout, CLOSING_S))

    def _do(self, operation: str, ask: Callable[[], T]) -> T:
        """Call a method of pyzk; what it raises leaves as an error of the contract."""
        try:
            return ask()
        except ZKErrorResponse:
            raise self._client.rejected(operation) from None
        except (struct.error, ValueError, IndexError) as error:
            # pyzk takes an answer apart without looking at it first: it was too short, or no text or date.
            self._client.hang_up()
            raise DeviceUnreachable("garbled", host=self.device.host, port=self.device.port) from error

    def _command(self, operation: Command, data: bytes = b"") -> Frame:
        """Ask for something that must be answered by yes. Raises DeviceRejected."""
        answer = self._client.request(operation, data)
        if answer.command != Code.OK:
            raise self._client.rejected(operation.name)
        return answer

    def _read(self, reason: str, command: Command, table: int = 0, *, shifted: bool = False) -> bytes:
        """A whole table, with its length before it. Raises DeviceRejected for this reason where it is refused."""
        try:
            data, _size = self._client.read_with_buffer(command, table, shifted=shifted)
        except ZKErrorResponse:
            raise self._unreadable(reason, f"answer {self._client.answer}") from None
        return data

    def _unreadable(self, reason: str, detail: str) -> DeviceRejected:
        return DeviceRejected(reason, host=self.device.host, port=self.device.port, detail=detail)
