"""The SQLite file: opened and lifted to the newest version, and written with one commit for all who wait."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from zkbridge.ledger.errors import LedgerInUse, LedgerTooNew, LedgerUnavailable
from zkbridge.ledger.schema import MIGRATIONS, TRIGGERS

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What SQLite says of a statement or its values; every other DatabaseError is the disk's fault, or the file's.
_OF_THE_WORK = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.NotSupportedError)
_DAMAGED = ("file is not a database", "malformed", "file is encrypted")


class _Job:
    """One thread's part of a transaction; `single` if one statement of it changes something at most: that is atomic."""

    def __init__(self, work: Callable[[sqlite3.Connection], Any], *, urgent: bool, single: bool) -> None:
        self.work = work
        self.urgent = urgent
        self.single = single
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Database:
    """The file `ledger.db` in a folder, mode 0600, for one daemon at a time.

    `readings` are the commands whose answers are forgotten once confirmed. `when_full` is called when the disk has no
    room for something, from any thread and while the file is held. `commits` and `syncs` count what was written.
    Raises LedgerInUse, LedgerTooNew, LedgerUnavailable; a damaged file is kept aside and a new one begun.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time, readings: Iterable[str] = ()) -> None:
        self.path = folder / "ledger.db"
        self.when_full: Callable[[], None] = lambda: None
        self.commits = self.syncs = 0
        self._clock = clock
        self._readings = tuple(readings)
        self._jobs: list[_Job] = []
        self._jobs_lock = threading.Lock()
        self._lock = threading.RLock()
        self._waits_for_disk = True
        _prepare(folder)
        self._guard = _take_guard(folder)
        self._db = self._open()

    def read(self, query: str, *values: object) -> list[sqlite3.Row]:
        """The rows that a question brings. Raises LedgerUnavailable."""
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"{self.path}: {error}") from error

    def write(self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = True, single: bool = False) -> T:
        """Run work in a transaction; the thread that gets the lock commits for all that wait by then, with one fsync.

        What is not `urgent` outlives the daemon, but not the machine, until the next commit that is: WAL keeps order.
        `single` says that the work changes something by one statement at most. Each one costs all threads several
        turns of the interpreter, so those that only begin and end a transaction are left out there.
        """
        job = _Job(work, urgent=urgent, single=single)
        with self._jobs_lock:
            self._jobs.append(job)
        with self._lock:
            if not job.done:
                self._commit_waiting()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def write_one(self, statement: str, *values: object, urgent: bool = True) -> None:
        """One statement, as `write` does it."""
        self.write(lambda db: ignore(db.execute(statement, values)), urgent=urgent, single=True)

    def inspect(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Look at what is committed, while nothing is being written. Raises LedgerUnavailable."""
        try:
            with self._lock:
                return look(self._db)
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"{self.path}: {error}") from error

    def checkpoint(self) -> bool:
        """Empty the write-ahead log; whether a reader prevented that. Raises sqlite3.Error."""
        with self._lock:
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(busy)

    def rebuild(self, *, aside: bool) -> None:
        """Write all of it to a new file in place of what is there now, which is kept `aside` or dropped.

        For a file that was removed or replaced under its name: what is open still has everything.
        Raises LedgerUnavailable while it cannot be written, and then nothing has changed.
        """
        fresh = self.path.with_name("ledger.db.new")
        with self._lock:
            try:
                fresh.unlink(missing_ok=True)
                os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                with contextlib.closing(sqlite3.connect(fresh)) as copy:
                    self._db.backup(copy)
            except (sqlite3.Error, OSError) as error:
                raise LedgerUnavailable(f"{self.path}: {error}") from error
            # From here on what goes wrong ends the bridge: the next start finds the new file, or what stood there.
            self._db.close()
            if aside:
                stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock()))
                self.path.replace(self.path.with_name(f"{self.path.name}.replaced-{stamp}"))
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            fresh.replace(self.path)
            self._db = self._connect()
            self._waits_for_disk = True

    def close(self) -> None:
        """Leave a single file behind, and the folder to the next daemon."""
        with self._lock:
            self._db.close()
        os.close(self._guard)

    def _commit_waiting(self) -> None:
        with self._jobs_lock:
            jobs, self._jobs = self._jobs, []
        urgent = any(job.urgent for job in jobs)
        try:
            if urgent is not self._waits_for_disk:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if urgent else 'NORMAL'}")
                self._waits_for_disk = urgent
            alone = len(jobs) == 1
            if not (alone and jobs[0].single):
                self._db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run(job, alone=alone)
            if self._db.in_transaction:
                self._db.execute("COMMIT")
            if any(job.error is None for job in jobs):
                self.commits += 1
                self.syncs += urgent
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                self.when_full()
            for job in jobs:
                job.error = LedgerUnavailable(f"{self.path}: {error}")
                job.error.__cause__ = error
        finally:
            for job in jobs:
                job.done = True

    def _run(self, job: _Job, *, alone: bool) -> None:
        """One job must not take back what its neighbours wrote."""
        guarded = not alone and not job.single
        if guarded:
            self._db.execute("SAVEPOINT job")
        try:
            job.result = job.work(self._db)
        except Exception as error:
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OF_THE_WORK):
                raise  # the disk's fault, or the file's: nobody's work can be kept
            job.error = error  # for the thread whose work it is
            if guarded:
                self._db.execute("ROLLBACK TO job")
            elif alone and self._db.in_transaction:
                self._db.execute("ROLLBACK")
        if guarded:
            self._db.execute("RELEASE job")

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not any(sign in str(error) for sign in _DAMAGED):
                    raise
                self._set_aside(error)
                return self._connect()
        except (sqlite3.Error, OSError) as error:
            os.close(self._guard)
            raise LedgerUnavailable(f"{self.path}: {error}") from error
        except LedgerTooNew:
            os.close(self._guard)
            raise

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            db.row_factory = sqlite3.Row
            # Small pages, for a new file: every change is written by whole pages, twice, and SD cards wear out.
            db.execute("PRAGMA page_size = 1024")
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
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
        log.error(
            "the ledger is damaged (%s): kept aside as %s, a new one is begun. "
            "Requests that were under way are lost to it; look at the terminals and at that file.",
            error,
            kept,
        )


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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


def ignore(_: object) -> None:
    """For work whose result is of no interest."""
