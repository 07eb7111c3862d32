"""The tables of a terminal in memory and, where it has one, in its file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from zkbridge.simulator.wire.tables import Change, Tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zkbridge.simulator.device.store import Store


class Memory:
    """Keeps the tables; every change goes to the file first, then to memory.

    `lock` is held for one effect at a time; any thread may take it. `options` are those of an unused terminal, `record`
    is the size of a user record in bytes.
    """

    def __init__(self, options: Mapping[str, str], record: int, store: Store | None) -> None:
        self.lock = threading.RLock()
        self.record = record
        self._options = dict(options)
        self.tables = Tables(dict(options))
        self._store = store
        if store is not None:
            self.load(store.changes())

    def change(self, *changes: Change) -> None:
        """Carry changes out; the caller holds the lock."""
        if self._store is not None:
            self._store.append(changes)
        self.tables.apply(changes)

    def changes(self) -> list[Change]:
        """The tables as changes to an unused terminal of this profile."""
        with self.lock:
            return list(self.tables.changes(self._options))

    def load(self, changes: Iterable[Change]) -> None:
        """Make the tables what these changes say; all or nothing.

        Raises ValueError when they are not of a terminal, or of one with other records.
        """
        tables = Tables(dict(self._options))
        tables.apply(changes)
        if any(len(raw) != self.record for raw in tables.users.values()):
            raise ValueError(f"its users have not the {self.record} bytes that this profile's have")
        with self.lock:
            self.tables = tables
            if self._store is not None:
                self._store.begin(self.changes())

    def close(self) -> None:
        """Close the file; later changes are in memory alone."""
        if self._store is not None:
            self._store.close()
