"""Keeps which terminals may have been left disabled, until each has confirmed that it is enabled."""

from __future__ import annotations

import contextlib
import json
import sqlite3

from zkbridge.ledger.database import Database
from zkbridge.ledger.errors import LedgerUnavailable


class PendingEnables:
    """The devices that are to be enabled first of all. That one is enabled is written with what is written next."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._enabled: set[str] = set()

    def devices(self) -> set[str]:
        """Devices that may still be disabled. Raises LedgerUnavailable."""
        return {row[0] for row in self._database.read("SELECT device FROM debts")} - self._enabled

    def mark_enabled(self, device: str) -> None:
        """The device is enabled again. That is written with the next answers sent; after a crash it is done again."""
        self._enabled.add(device)

    def add(self, device: str) -> None:
        """The device may be disabled again: an earlier confirmation counts no more."""
        self._enabled.discard(device)

    def write(self, db: sqlite3.Connection) -> None:
        """Write what was confirmed. If it cannot be kept, the devices stay: to enable once more does no harm."""
        enabled = []
        while self._enabled:  # one by one: a worker may add another meanwhile
            enabled.append(self._enabled.pop())
        if enabled:
            db.execute("DELETE FROM debts WHERE device IN (SELECT value FROM json_each(?))", (json.dumps(enabled),))

    def write_soon(self) -> None:
        """Write confirmations that no later write has taken along; a full disk does no harm."""
        if self._enabled:
            with contextlib.suppress(LedgerUnavailable):
                self._database.write(self.write, urgent=False, single=True)
