"""The ledger's disk: SQLite's own files, whose last commits a power cut may take back, and which may be full."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torture.simulated.machine import Killed, here

#: Seconds that a commit waits for the disk.
SYNC_S = 0.003
_CHANGES = ("INSERT", "UPDATE", "DELETE")

Tell = Callable[[str], None]


class Disk:
    """One folder. `fault` is what the next commits meet: None, "full" or "broken", for so many of them."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.folder = folder
        self.fault: str | None = None
        self.faults_left = 0
        self.failed_at: list[float] = []
        self._tell = tell
        self._connections: list[Connection] = []
        #: Lengths of the write-ahead log after each commit since the last one that was waited for, that one first.
        self._lengths = [0]
        self._waits = True

    @property
    def _wal(self) -> Path:
        return self.folder / "ledger.db-wal"

    def opened(self, connection: Connection) -> None:
        """The program opened the ledger; only by checkpoints that it asks for is the write-ahead log emptied."""
        self._connections.append(connection)
        sqlite3.Connection.execute(connection, "PRAGMA wal_autocheckpoint = 0")
        self._lengths, self._waits = [self._length()], True

    def before(self, statement: str, *, inside: bool = False) -> None:
        """Raise what a statement meets."""
        machine = here()
        if machine.current is not None and machine.current.life != machine.life:
            raise Killed
        if (
            self._waits
            and machine.current is not None
            and (statement == "COMMIT" or (not inside and statement[:6] in _CHANGES))
        ):
            machine.sleep(SYNC_S)
        if statement == "COMMIT" and self.fault is not None:
            self.faults_left -= 1
            fault = self.fault
            if self.faults_left <= 0:
                self.fault = None
            self._tell(f"the disk is {fault}: a commit fails")
            self.failed_at.append(machine.now)
            error = sqlite3.OperationalError("database or disk is full" if fault == "full" else "disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL if fault == "full" else sqlite3.SQLITE_IOERR
            raise error

    def after(self, statement: str, *, changed: bool) -> None:
        """Note what is durable after a statement."""
        if statement.startswith("PRAGMA synchronous"):
            self._waits = "FULL" in statement
        elif statement.startswith("PRAGMA wal_checkpoint"):
            self._lengths = [self._length()]
        elif changed:
            length = self._length()
            self._lengths = [length] if self._waits else [*self._lengths, length]

    def end(self, *, lost: int | None) -> None:
        """The program was killed. `lost`: the power was cut, and so many of the commits not waited for are gone."""
        kept = None
        if lost is not None and len(self._lengths) > 1:
            length = self._lengths[max(0, len(self._lengths) - 1 - lost)]
            kept = (self.folder / "ledger.db").read_bytes(), self._wal.read_bytes()[:length]
            self._tell(f"{min(lost, len(self._lengths) - 1)} commits that were not waited for are lost")
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        if kept is not None:
            (self.folder / "ledger.db-shm").unlink(missing_ok=True)
            # As new files: SQLite shares its index of the log between the connections of this process to one file, and
            # an unwound thread may hold one until the garbage is collected.
            for name, data in zip(("ledger.db", "ledger.db-wal"), kept, strict=True):
                copy = self.folder / f"{name}.cut"
                copy.write_bytes(data)
                copy.replace(self.folder / name)
        self._lengths, self._waits, self.fault = [0], True, None

    def _length(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0


class Connection(sqlite3.Connection):
    """A connection to the ledger on which each statement is a step."""

    disk: Disk

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As sqlite3.Connection.execute."""
        return self._step(sql, lambda: sqlite3.Connection.execute(self, sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """As sqlite3.Connection.executemany; outside a transaction it is one with a single row."""
        return self._step(sql, lambda: sqlite3.Connection.executemany(self, sql, parameters))

    def _step(self, sql: str, do: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        machine = here()
        machine.point("ledger")
        self.disk.before(sql, inside=self.in_transaction)
        inside, before = self.in_transaction, self.total_changes
        cursor = do()
        changed = not self.in_transaction and (inside or self.total_changes != before)
        self.disk.after(sql, changed=changed and sql != "ROLLBACK")
        if changed:
            machine.point("committed")
        return cursor

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        """As sqlite3.Connection.executescript: what the ledger does when it is opened."""
        self.disk.before("script")
        cursor = super().executescript(sql)
        self.disk.after("script", changed=True)
        return cursor


def sqlite_on(disk: Callable[[], Disk]) -> SimpleNamespace:
    """The module `sqlite3` with connections to a simulated disk."""

    def connect(path: Any, **settings: Any) -> Connection:
        connection = sqlite3.connect(path, factory=Connection, **settings)
        connection.disk = disk()
        connection.disk.opened(connection)
        return connection

    return SimpleNamespace(**{**vars(sqlite3), "connect": connect, "Connection": Connection})
