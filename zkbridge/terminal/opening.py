"""Gives a conversation its connection: a new one under the terminal's lock, or one that is kept."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from zkbridge.config.models import Device
from zkbridge.terminal.line import PersistentConnection
from zkbridge.terminal.locks import Waiting, hold
from zkbridge.terminal.protocol.client import Client
from zkbridge.terminal.protocol.deadline import Deadline


class Opening(NamedTuple):
    """How a connection is opened and given back. `line`, if there is one, has the lock and keeps the connection.

    `waiting` is called now and then while another process has the terminal; what it raises ends the waiting.
    """

    device: Device
    deadline: Deadline
    lock_dir: Path | None
    waiting: Waiting
    line: PersistentConnection | None

    def take(self, begun: ExitStack) -> Client:
        """A connection, with the lock until `begun` ends; a new one is still to be connected by `start`."""
        if self.line is not None:
            return self.line.take(self.deadline, device=self.device, waiting=self.waiting)
        address = f"{self.device.host}:{self.device.port}"
        begun.enter_context(hold(address, lock_dir=self.lock_dir, deadline=self.deadline, waiting=self.waiting))
        return Client(self.device, self.deadline)

    def start(self, client: Client) -> None:
        """Connect, unless the connection is one that is kept. Raises TerminalError."""
        if self.line is None:
            client.connect()

    def keeps(self, client: Client) -> bool:
        """Whether the connection stays when the conversation ends."""
        return self.line is not None and self.line.keeps(client)

    def give_back(self, client: Client) -> None:
        """Close the connection, unless it is kept and still works."""
        if self.line is None:
            client.hang_up()
        elif not self.line.keeps(client):
            client.hang_up()
            self.line.drop()
