"""The lock of a terminal and a connection to it, kept from one conversation to the next."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from pathlib import Path

from zkbridge.config.models import Device
from zkbridge.contract.errors import TerminalError
from zkbridge.terminal.locks import Held, Waiting, hold, ignore
from zkbridge.terminal.protocol.client import Client
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.protocol.deadline import Deadline

#: A connection on which something arrived within this many seconds is used without a test.
FRESH_S = 1.0
#: A test takes at most this long (seconds); a terminal that is slower gets a new connection.
TRIAL_S = 3.0


class PersistentConnection:
    """What one thread's conversations with a terminal share. `number` counts the connections.

    Between two conversations the connection and the lock stay; `wanted` says that another process waits for the
    terminal, and `drop` makes room.
    """

    def __init__(self, device: Device, *, lock_dir: Path | None) -> None:
        self.number = 0
        self._device = device
        self._lock_dir = lock_dir
        self._client: Client | None = None
        self._held: Held | None = None
        self._end = ExitStack()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that is not known to be broken."""
        return self._client is not None and self._client.usable

    def take(self, deadline: Deadline, *, device: Device | None = None, waiting: Waiting = ignore) -> Client:
        """A connection that works: the present one, or a new one. Raises TerminalError.

        `device` is the terminal as it is to be reached now: its address may have changed since the last connection.
        `waiting` is called now and then while another process has the terminal; what it raises ends the waiting.
        """
        if device is not None and device != self._device:
            self.drop(politely=False)
            self._device = device
        client = self._client
        if client is not None and self._answers(client):
            client.deadline = deadline
            return client
        self.drop(politely=False)
        return self._open(deadline, waiting)

    def keeps(self, client: Client) -> bool:
        """Whether the connection stays when its conversation ends."""
        return client is self._client and client.usable and not self.wanted()

    def wanted(self) -> bool:
        """Whether another process waits for the terminal."""
        return self._held is not None and self._held.wanted()

    def drop(self, *, politely: bool = True) -> None:
        """End connection and lock, if there are any; EXIT is sent where the terminal may still receive it."""
        client, self._client = self._client, None
        end, self._end = self._end, ExitStack()
        self._held = None
        with end:
            if client is None:
                return
            try:
                if politely:
                    client.deadline = Deadline.after(min(self._device.timeout, TRIAL_S))
                    client.disconnect()
            finally:
                client.hang_up()

    def _open(self, deadline: Deadline, waiting: Waiting) -> Client:
        address = f"{self._device.host}:{self._device.port}"
        with ExitStack() as begun:
            held = begun.enter_context(hold(address, lock_dir=self._lock_dir, deadline=deadline, waiting=waiting))
            client = Client(self._device, deadline)
            client.connect()
            self._client, self._held, self._end = client, held, begun.pop_all()
        self.number += 1
        return client

    def _answers(self, client: Client) -> bool:
        """Whether the terminal still answers: a connection may have died silently, or in a restart."""
        if not client.usable:
            return False
        if time.monotonic() - client.exchange.heard_at < FRESH_S:
            return True
        client.deadline = Deadline.after(min(self._device.timeout, TRIAL_S))
        with suppress(TerminalError):
            return client.request(Command.GET_TIME).command == Code.OK
        return False
