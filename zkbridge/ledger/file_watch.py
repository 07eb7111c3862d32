"""Whether the ledger's files are still those that the bridge writes to, or were removed or replaced."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from zkbridge.ledger.ledger import Ledger


class Loss(NamedTuple):
    """What became of the files, as a sentence; and whether all that was kept is still at hand, to be written anew."""

    what: str
    can_be_healed: bool


class LedgerLost(Exception):
    """The ledger's file is gone and what it held cannot be had any more; the next start begins with what is there."""


class FileWatch:
    """Compares the files by their names with those that were opened. They are never opened here but through SQLite.

    (To close a file of its own would release SQLite's locks on it: fcntl(2) locks belong to the process.)
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._opened = self._identities()
        self._size = _size(ledger.path)

    def look(self) -> Loss | None:
        """What has become of the files; None if they are as they should be."""
        path, now = self._ledger.path, self._identities()
        if now["ledger.lock"] != self._opened["ledger.lock"]:
            return Loss(f"{path.with_name('ledger.lock')} was removed or replaced: another zkbridge may start", False)
        size = _size(path)
        if now["ledger.db"] == self._opened["ledger.db"] and size < self._size:
            return Loss(f"{path} was emptied or cut", can_be_healed=False)
        for name, before in self._opened.items():
            if now[name] != before:
                return Loss(f"{path.with_name(name)} was {'removed' if now[name] is None else 'replaced'}", True)
        self._size = size
        if not self._is_ours():
            return Loss(f"{path} was overwritten", can_be_healed=False)
        return None

    def heal(self) -> None:
        """Write everything anew, from the file that is still open. Raises LedgerUnavailable."""
        self._ledger.rebuild(aside=self._identities()["ledger.db"] not in (None, self._opened["ledger.db"]))
        self._opened = self._identities()
        self._size = _size(self._ledger.path)

    def _identities(self) -> dict[str, tuple[int, int] | None]:
        names = ("ledger.lock", "ledger.db", "ledger.db-wal")
        return {name: _identity(self._ledger.path.with_name(name)) for name in names}

    def _is_ours(self) -> bool:
        """Whether a reader that knows nothing yet finds in the file what this bridge has written last."""

        def compare(db: sqlite3.Connection) -> bool:
            try:
                with closing(sqlite3.connect(f"file:{self._ledger.path}?mode=ro", uri=True, timeout=1)) as other:
                    return _marks(db) == _marks(other)
            except sqlite3.OperationalError:  # locked, or out of descriptors: looked at again next time
                return True
            except sqlite3.DatabaseError:
                return False

        return self._ledger.inspect(compare)


def _marks(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """What changes with every connection, request and answer."""
    query = (
        "SELECT (SELECT value FROM facts WHERE subject = 'ledger' AND name = 'connection'),"
        " (SELECT max(id) FROM requests), (SELECT max(id) FROM answers)"
    )
    return [tuple(row) for row in db.execute(query)]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
