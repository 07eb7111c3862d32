"""Threads that go from one job to the next, and whose turn it is where they must not all come at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType

#: Seconds that a thread waits for another job before it ends: at rest there are none.
REST_S = 1.0
#: Seconds between two turns of what is not urgent, at most, and so many in all, roughly, however many wait.
PAUSE_S, ALL_PAUSES_S = 0.02, 2.0


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


class Turns:
    """A `with` for what many threads may be about to do at the same moment and nobody is in a hurry for.

    One at a time, and with a pause after each, in which the machine is free for everybody else.
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
