"""Runs jobs later or repeatedly: one thread that sleeps until the next one is due."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Protocol

log = logging.getLogger(__name__)

#: A job that takes longer than this has hung.
HUNG_AFTER_S = 60.0
#: Seconds after which a job is tried again to which the system refused something.
AGAIN_S = 60.0


class Supervisor(Protocol):
    """Ends the daemon when a part of it can do its work no more."""

    def fail(self, error: BaseException, /) -> None:
        """A part has failed for good. Called from any thread."""


class Upkeep:
    """Jobs by key: `later` sets one to run once, after some seconds; a job may return when it wants to run again.

    A job that raises OSError (a disk that is away, no more descriptors) is logged and tried again: it costs nothing
    else. Any other error is a fault of the program, and ends the daemon.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._change = threading.Condition()
        self._heap: list[tuple[float, int, Hashable]] = []
        self._jobs: dict[Hashable, Callable[[], float | None]] = {}
        self._order = itertools.count()
        self._stopping = False
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin to run what is due."""
        self._thread.start()

    def later(self, key: Hashable, seconds: float, job: Callable[[], float | None]) -> None:
        """Run job once in some seconds, and again in as many as it returns; a key that waits already is left alone."""
        with self._change:
            if key in self._jobs or self._stopping:
                return
            self._jobs[key] = job
            heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._order), key))
            self._change.notify()

    def is_well(self) -> bool:
        """Whether no job has hung."""
        since = self._busy_since
        return since is None or time.monotonic() - since < HUNG_AFTER_S

    def stop(self) -> None:
        """Run nothing more; return when the job under way has ended."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while (due := self._next()) is not None:
                self._do(*due)
        except BaseException as error:  # the last line of a thread: the daemon must end
            log.critical("the upkeep died", exc_info=True)
            self._supervisor.fail(error)

    def _next(self) -> tuple[Hashable, Callable[[], float | None]] | None:
        with self._change:
            while not self._stopping:
                if not self._heap:
                    self._change.wait()
                elif (left := self._heap[0][0] - time.monotonic()) > 0:
                    self._change.wait(left)
                else:
                    _, _, key = heapq.heappop(self._heap)
                    return key, self._jobs.pop(key)
        return None

    def _do(self, key: Hashable, job: Callable[[], float | None]) -> None:
        self._busy_since = time.monotonic()
        try:
            again = job()
        except OSError as error:
            log.error("the job %s failed, again in %.0f s: %s", key, AGAIN_S, error)  # noqa: TRY400 - says it all
            again = AGAIN_S
        finally:
            self._busy_since = None
        if again is not None:
            self.later(key, again, job)
