"""The file `ledger.db`: held for one daemon, opened, lifted to the newest version, and replaced."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from zkbridge.ledger.errors import LedgerInUse, LedgerTooNew, LedgerUnavailable
from zkbridge.ledger.schema import MIGRATIONS, TRIGGERS
from zkbridge.machine.folder import sync_folder

log = logging.getLogger(__name__)

_DAMAGED = ("file is not a database", "malformed", "file is encrypted")


class LedgerFile:
    """The file in a folder, mode 0600, for one daemon at a time; `readings` as for `Ledger`.

    Raises LedgerInUse, LedgerUnavailable when it is made.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float], readings: Iterable[str]) -> None:
        self.path = folder / "ledger.db"
        self._new = folder / "ledger.db.new"
        self._clock = clock
        self._readings = tuple(readings)
        _prepare(folder)
        self._guard = _take_guard(folder)

    def open(self) -> sqlite3.Connection:
        """A connection to the file, which is made if it is not there; a damaged one is kept aside and a new one begun.

        Raises LedgerTooNew, LedgerUnavailable, and the folder is then free again.
        """
        try:
            self._settle_new_file()
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not any(sign in str(error) for sign in _DAMAGED):
                    raise
                self._set_aside(error)
                return self._connect()
        except (sqlite3.Error, OSError) as error:
            self.release()
            raise LedgerUnavailable(f"{self.path}: {error}") from error
        except LedgerTooNew:
            self.release()
            raise

    def replace(self, db: sqlite3.Connection, *, aside: bool) -> sqlite3.Connection:
        """Write all that a connection has to a new file, in place of what is there, which is kept `aside` or dropped.

        Return the connection to the new file; the old one is closed. Raises LedgerUnavailable while that cannot be
        written, and then nothing has changed.
        """
        fresh = self._new
        try:
            self._drop_new_file()
            os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with contextlib.closing(sqlite3.connect(fresh)) as copy:
                db.backup(copy)
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnavailable(f"{self.path}: {error}") from error
        # From here on what goes wrong ends the bridge: the next start finds the new file, or what stood there.
        db.close()
        if aside:
            stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock()))
            self.path.replace(self.path.with_name(f"{self.path.name}.replaced-{stamp}"))
        self._take_new_file()
        return self._connect()

    def _settle_new_file(self) -> None:
        """After a power cut in `replace`: use the new file where nothing stands in its place, else delete it.

        It holds requests, PINs among them. A part of one is not used: it has no version yet.
        """
        if not self._new.exists():
            return
        if self.path.exists() or not _is_whole(self._new):
            self._drop_new_file()
            return
        self._take_new_file()
        log.warning("the ledger was being written anew when the bridge ended: the new file is used")

    def _take_new_file(self) -> None:
        """Each step before the next: an old write-ahead log beside the new file would be read into it."""
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        sync_folder(self.path.parent)
        self._new.replace(self.path)
        sync_folder(self.path.parent)

    def _drop_new_file(self) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{self._new}{suffix}").unlink(missing_ok=True)

    def release(self) -> None:
        """Leave the folder to the next daemon."""
        os.close(self._guard)

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            db.row_factory = sqlite3.Row
            # Small pages, for a new file: every change is written by whole pages, twice, and SD cards wear out.
            db.execute("PRAGMA page_size = 1024")
            for pragma in (
                "journal_mode = WAL",
                "journal_size_limit = 0",  # the first commit after a checkpoint cuts the log: `Database.checkpoint`
                "synchronous = FULL",
                "secure_delete = ON",
                "foreign_keys = ON",
            ):
                db.execute(f"PRAGMA {pragma}")
            _check(db)
            _migrate(db, self.path)
            db.executescript(TRIGGERS)
            db.executemany("INSERT INTO readings VALUES (?)", [(command,) for command in self._readings])
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, error: Exception) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock()))
        kept = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{kept}{suffix}")
        sync_folder(self.path.parent)  # the new file is never to be read with the old write-ahead log
        log.error(
            "the ledger is damaged (%s): kept aside as %s, a new one is begun. "
            "Requests that were under way are lost to it; look at the terminals and at that file.",
            error,
            kept,
        )


def _prepare(folder: Path) -> None:
    try:
        is_new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_new:
            sync_folder(folder.parent)
    except OSError as error:
        raise LedgerUnavailable(f"{folder}: {error.strerror}") from error


def _take_guard(folder: Path) -> int:
    """Hold the folder: two daemons on one ledger would both do what is unfinished."""
    try:
        guard = os.open(folder / "ledger.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerUnavailable(f"{folder}: {error.strerror}") from error
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(guard)
        raise LedgerInUse(f"{folder} is in use by another zkbridge") from None
    return guard


def _is_whole(path: Path) -> bool:
    """Whether a copy was written to its end: it is one transaction, and has the version of what it was made of."""
    with contextlib.closing(sqlite3.connect(path)) as copy:
        try:
            return bool(copy.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error:
            return False


def _check(db: sqlite3.Connection) -> None:
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"malformed: {verdict}")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise LedgerTooNew(f"{path} was written by a newer zkbridge (version {version} of the file)")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
    if 0 < version < len(MIGRATIONS):
        db.execute("VACUUM")  # no page of the older file is left with what it held
