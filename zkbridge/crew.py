"""Threads that go from one job to the next: to start one for each request costs more than to keep a few awhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

#: Seconds that a thread waits for another job before it ends: at rest there are none.
REST_S = 1.0


class Errand:
    """One job that a thread does. `join` waits for its end."""

    def __init__(self, job: Callable[[], None], name: str) -> None:
        self.name = name
        self._job = job
        self._under_way = threading.Lock()
        self._under_way.acquire()

    def run(self) -> None:
        """Do the job."""
        try:
            self._job()
        finally:
            self._under_way.release()

    def join(self, timeout: float) -> bool:
        """Wait for the end, so many seconds at most; whether it has come."""
        ended = self._under_way.acquire(timeout=timeout)
        if ended:
            self._under_way.release()
        return ended


class Crew:
    """Any number of threads; `start` gives a job to one that rests, or to a new one, without waiting for it.

    A job must raise nothing. While it is done the thread has its name. The threads keep no program alive.
    """

    def __init__(self, *, rest_s: float = REST_S) -> None:
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._resting: list[_Hand] = []

    def start(self, job: Callable[[], None], *, name: str) -> Errand:
        """Have a job done."""
        errand = Errand(job, name)
        with self._lock:
            hand = self._resting.pop() if self._resting else None  # the last to rest: the others may end
        if hand is None:
            hand = _Hand(self)
            hand.errands.put(errand)
            hand.start()
        else:
            hand.errands.put(errand)
        return errand

    def next_for(self, hand: _Hand) -> Errand | None:
        """What a thread is to do next, as soon as there is something; None if it is to end."""
        with self._lock:
            self._resting.append(hand)
        try:
            return hand.errands.get(timeout=self._rest_s)
        except queue.Empty:
            with self._lock:
                if hand in self._resting:
                    self._resting.remove(hand)
                    return None
            return hand.errands.get()  # it was chosen at this very moment


class _Hand(threading.Thread):
    """One thread."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(daemon=True)
        self.errands: queue.SimpleQueue[Errand] = queue.SimpleQueue()
        self._crew = crew

    def run(self) -> None:
        """One errand after the other."""
        errand: Errand | None = self.errands.get()
        while errand is not None:
            self.name = errand.name
            errand.run()
            self.name = "resting"
            errand = self._crew.next_for(self)
