"""A pool of threads, and a lock for jobs that must not all run at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType

#: Seconds that an idle thread waits for another job before it ends: a daemon without work has no such threads.
IDLE_S = 1.0
#: Seconds between two holders of a PacedLock, at most; and roughly the most in all, however many wait.
PAUSE_S, ALL_PAUSES_S = 0.02, 2.0


class Job:
    """A function that a thread of the pool calls once. `join` waits until it has returned."""

    def __init__(self, function: Callable[[], None], name: str) -> None:
        self.name = name
        self._function = function
        self._running = threading.Lock()
        self._running.acquire()

    def run(self) -> None:
        """Call the function."""
        try:
            self._function()
        finally:
            self._running.release()

    def join(self, timeout: float) -> bool:
        """Wait for its end, at most `timeout` seconds; return whether it has ended."""
        ended = self._running.acquire(timeout=timeout)
        if ended:
            self._running.release()
        return ended


class ThreadPool:
    """Any number of threads; `start` gives a job to an idle one, or to a new one, without waiting for it.

    A job must raise nothing. While it runs the thread has its name. The threads keep no program alive.
    """

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._idle: list[PoolThread] = []

    def start(self, function: Callable[[], None], *, name: str) -> Job:
        """Have a function called by a thread. Raises RuntimeError where the system starts no more threads."""
        job = Job(function, name)
        with self._lock:
            thread = self._idle.pop() if self._idle else None  # the one that became idle last: the others may end
        if thread is None:
            thread = PoolThread(self)
            thread.jobs.put(job)
            thread.start()
        else:
            thread.jobs.put(job)
        return job

    def next_job(self, thread: PoolThread) -> Job | None:
        """Wait for the thread's next job; None where it is to end."""
        with self._lock:
            self._idle.append(thread)
        try:
            return thread.jobs.get(timeout=self._idle_s)
        except queue.Empty:
            with self._lock:
                if thread in self._idle:
                    self._idle.remove(thread)
                    return None
            return thread.jobs.get()  # `start` chose this thread just as its wait ended


class PoolThread(threading.Thread):
    """One thread of a pool: it runs its jobs one after the other, and ends after an idle time."""

    def __init__(self, pool: ThreadPool) -> None:
        super().__init__(daemon=True)
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._pool = pool

    def run(self) -> None:
        """Run one job after the other."""
        job: Job | None = self.jobs.get()
        while job is not None:
            self.name = job.name
            job.run()
            self.name = "idle"
            job = self._pool.next_job(self)


class PacedLock:
    """A lock with a pause after each holder while others wait: in the pause the machine is free for other threads.

    For work that is not urgent and that many threads may begin at the same moment.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._present = 0

    def __enter__(self) -> None:
        with self._counting:
            self._present += 1
        self._turn.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._counting:
            self._present -= 1
            waiting = self._present
        if waiting:
            time.sleep(min(PAUSE_S, ALL_PAUSES_S / waiting))
        self._turn.release()
