"""Transactions on the ledger's file: one commit, with one wait for the disk, for all threads that wait to write."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.file import LedgerFile

T = TypeVar("T")

#: Errors that SQLite raises because of a statement or its values; every other DatabaseError comes from the disk or the
#: file.
_OF_THE_WORK = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.NotSupportedError)


class _Job:
    """One thread's part of a transaction; `single` if one statement of it changes something at most: that is atomic."""

    def __init__(self, work: Callable[[sqlite3.Connection], Any], *, urgent: bool, single: bool) -> None:
        self.work = work
        self.urgent = urgent
        self.single = single
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class DiskWatch(Protocol):
    """Hears of a full disk, from any thread and while the file is held."""

    def full(self) -> None:
        """The disk has no room for what is to be kept."""


class Database:
    """The file `ledger.db` in a folder, mode 0600, for one daemon at a time.

    `readings` are the commands whose answers are forgotten once confirmed. `watch` is called when the disk has no room
    for something. `commits` and `syncs` count what was written.
    Raises LedgerInUse, LedgerTooNew, LedgerUnavailable; a damaged file is kept aside and a new one begun.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time, readings: Iterable[str] = ()) -> None:
        self.watch: DiskWatch | None = None
        self.commits = self.syncs = 0
        self._jobs: list[_Job] = []
        self._jobs_lock = threading.Lock()
        self._lock = threading.RLock()
        self._may_lead = threading.Event()  # cleared while a thread waits to begin a transaction of its own
        self._may_lead.set()
        self._waits_for_disk = True
        self._file = LedgerFile(folder, clock=clock, readings=readings)
        self._db = self._file.open()

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def read(self, query: str, *values: object) -> list[sqlite3.Row]:
        """The rows that a query returns. Raises LedgerUnavailable."""
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
        while not job.done:
            with self._lock:
                if not job.done and self._may_lead.is_set():
                    self._commit_waiting()
            if not job.done:
                self._may_lead.wait()  # the thread that begins a transaction commits this work, too
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def write_one(self, statement: str, *values: object, urgent: bool = True) -> None:
        """One statement, as `write` does it."""
        self.write(lambda db: ignore(db.execute(statement, values)), urgent=urgent, single=True)

    @contextlib.contextmanager
    def transaction(self, *, single: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction in a `with`, in the caller's own thread; what other threads wait to write is committed with it.

        It goes before the writes that wait, so that they share its commit. `single` is as for `write`.
        Raises LedgerUnavailable where the file cannot be written; an error inside takes back what was written inside.
        """
        self._may_lead.clear()
        try:
            with self._lock:
                try:
                    self._begin(urgent=True, bare=single and not self._jobs)
                    yield self._db
                except BaseException as error:
                    if isinstance(error, sqlite3.Error) and _is_of_the_file(error):
                        raise self._fail([], error) from error
                    self._roll_back()
                    raise
                self._commit_with_waiting()
        finally:
            self._may_lead.set()

    def inspect(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Read what is committed, while nothing is being written. Raises LedgerUnavailable."""
        try:
            with self._lock:
                return look(self._db)
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"{self.path}: {error}") from error

    def checkpoint(self) -> bool:
        """Have the next commit empty the write-ahead log; whether a reader prevents that. Raises sqlite3.Error.

        That commit writes a new head, waits until it is on the disk, and only then cuts off what was written before
        (`journal_size_limit`). A checkpoint by TRUNCATE cuts first: where a power cut leaves part of the log below its
        old head, the next start would read old pages from it, and the ledger would be damaged.
        """
        with self._lock:
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        return bool(busy)

    def rebuild(self, *, aside: bool) -> None:
        """Write all of it to a new file in place of what is there now, which is kept `aside` or dropped.

        For a file that was removed or replaced under its name: what is open still has everything.
        Raises LedgerUnavailable while it cannot be written, and then nothing has changed.
        """
        with self._lock:
            self._db = self._file.replace(self._db, aside=aside)
            self._waits_for_disk = True

    def close(self) -> None:
        """Close: leave one file without a write-ahead log, and free the folder for the next daemon."""
        with self._lock:
            self._db.close()
        self._file.release()

    def _commit_waiting(self) -> None:
        jobs = self._take_jobs()
        alone = len(jobs) == 1
        try:
            self._begin(urgent=any(job.urgent for job in jobs), bare=alone and jobs[0].single)
            for job in jobs:
                self._run(job, alone=alone)
            self._commit(any(job.error is None for job in jobs))
        except sqlite3.Error as error:
            self._fail(jobs, error)
        finally:
            for job in jobs:
                job.done = True

    def _commit_with_waiting(self) -> None:
        """Commit what the caller has written, and with it what other threads wait to write."""
        jobs = self._take_jobs() if self._db.in_transaction else []
        try:
            for job in jobs:
                self._run(job, alone=False)
            self._commit(True)
        except sqlite3.Error as error:
            raise self._fail(jobs, error) from error
        finally:
            for job in jobs:
                job.done = True

    def _take_jobs(self) -> list[_Job]:
        with self._jobs_lock:
            jobs, self._jobs = self._jobs, []
        return jobs

    def _begin(self, *, urgent: bool, bare: bool) -> None:
        """Begin a transaction, unless it is `bare`: one statement, which is one by itself."""
        if urgent is not self._waits_for_disk:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if urgent else 'NORMAL'}")
            self._waits_for_disk = urgent
        if not bare:
            self._db.execute("BEGIN IMMEDIATE")

    def _commit(self, changed: bool) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        if changed:
            self.commits += 1
            self.syncs += self._waits_for_disk

    def _fail(self, jobs: list[_Job], error: sqlite3.Error) -> LedgerUnavailable:
        """Roll back; the error for the thread that wrote, and one like it for each job."""
        self._roll_back()
        if self.watch is not None and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            self.watch.full()
        for job in jobs:
            job.error = self._unavailable(error)
            job.error.__cause__ = error
        return self._unavailable(error)

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")

    def _unavailable(self, error: sqlite3.Error) -> LedgerUnavailable:
        return LedgerUnavailable(f"{self.path}: {error}")

    def _run(self, job: _Job, *, alone: bool) -> None:
        """Undo one job alone: the other jobs of the transaction must stay."""
        guarded = not alone and not job.single
        if guarded:
            self._db.execute("SAVEPOINT job")
        try:
            job.result = job.work(self._db)
        except Exception as error:
            if _is_of_the_file(error):
                raise  # no thread's work can be kept
            job.error = error  # for the thread whose work it is
            if guarded:
                self._db.execute("ROLLBACK TO job")
            elif alone and self._db.in_transaction:
                self._db.execute("ROLLBACK")
        if guarded:
            self._db.execute("RELEASE job")


def _is_of_the_file(error: BaseException) -> bool:
    """Whether the error comes from the disk or the file, and not from a statement or its values."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OF_THE_WORK)


def ignore(_: object) -> None:
    """For work whose result is of no interest."""
