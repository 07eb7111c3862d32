"""The state of the connection to the broker."""

from __future__ import annotations

import threading

from zkbridge.ledger.ledger import Ledger
from zkbridge.mqtt.protocol_choice import ProtocolName


class Link:
    """Numbers the connections, and notes protocol and state of the present one. Written by the mqtt thread alone.

    `number` is that of the last connection, or of the attempt under way; `protocol` is None before the first.
    `reconnects` counts the connections after the first. `drained`: the bridge has received its own health of this
    connection, so what the broker had held back for the session has all arrived. `online` is set while connected.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.online = threading.Event()
        self.number = 0
        self.protocol: ProtocolName | None = None
        self.reconnects = 0
        self.drained = False

    def begin(self) -> int:
        """Return the number of a new connection. Raises LedgerUnavailable."""
        self.number = self._ledger.facts.next_connection()
        return self.number

    def connected(self, protocol: ProtocolName) -> None:
        """Note that the session has begun; the caller sets `online`, last."""
        self.reconnects += self.protocol is not None
        self.protocol = protocol

    def disconnected(self) -> None:
        """Note that the connection is over."""
        self.online.clear()
        self.drained = False

    def heard_health(self, connection: object) -> None:
        """Note that a health message of this bridge came back; `connection` is the number in it."""
        self.drained = self.drained or connection == self.number
