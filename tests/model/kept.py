"""Ledgers as values: each state of the file has a number, and each call is made once for each number it meets."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from zkbridge.ledger.ledger import Ledger

T = TypeVar("T")

_TABLES = ("requests", "asked", "answers", "parked", "retained", "debts", "facts")


class Image(NamedTuple):
    """A ledger's file, and what its process had in memory: who was enabled."""

    file: bytes | None
    enabled: frozenset[str]


class Ledgers:
    """Real ledgers on real files, opened anew for every call that was not made before in the same state."""

    FIRST = 0

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._folder = Path(tempfile.mkdtemp(prefix="zkbridge-explorer-", dir="/dev/shm"))
        self._images = [Image(None, frozenset())]
        self._numbers: dict[object, int] = {}
        self._done: dict[object, tuple[int, Any]] = {}
        self.calls = 0

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder)

    def do(self, number: int, name: object, call: Callable[[Ledger], T]) -> tuple[int, T]:
        """Make a call on a ledger: the ledger after it, and what it returned. `name` tells calls apart."""
        key = (number, name, self._now())
        if key not in self._done:
            self.calls += 1
            self._done[key] = self._do(self._images[number], call)
        return self._done[key]

    def restarted(self, number: int) -> int:
        """The ledger after a kill: what the process had in memory is gone."""
        image = self._images[number]
        return self._do(image._replace(enabled=frozenset()), lambda _: None)[0]

    def _do(self, image: Image, call: Callable[[Ledger], T]) -> tuple[int, T]:
        path = self._folder / "ledger.db"
        path.unlink(missing_ok=True)
        if image.file is not None:
            path.write_bytes(image.file)
        ledger = Ledger(self._folder, clock=self._now)
        ledger.enables._enabled = set(image.enabled)
        try:
            result = call(ledger)
            after = Image(ledger.inspect(lambda db: db.serialize()), frozenset(ledger.enables._enabled))
            content = ledger.inspect(_content)
            ledger.enables._enabled.clear()  # what was not written stays in the image alone
        finally:
            ledger.close()
        key = (content, after.enabled)
        if key not in self._numbers:
            self._numbers[key] = len(self._images)
            self._images.append(after)
        return self._numbers[key], result


def _content(db: sqlite3.Connection) -> str:
    """All rows but the moment of the last scrub: by these two files are the same."""
    rows = [[tuple(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in _TABLES]
    return repr([[row for row in table if row[:2] != ("ledger", "scrubbed")] for table in rows])
