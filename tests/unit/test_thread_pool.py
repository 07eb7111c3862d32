"""Threads that are used again for the next job, and the lock with pauses."""

import threading
import time
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from tests.support.waiting import wait_until
from zkbridge.runtime.thread_pool import ALL_PAUSES_S, PAUSE_S, PacedLock, ThreadPool


def threads_named(name: str = "idle") -> list[Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    made = ThreadPool(idle_s=0.2)
    yield made
    wait_until(lambda: not threads_named())


def test_an_idle_thread_does_the_next_job(pool: ThreadPool) -> None:
    seen = []

    for _ in range(3):
        assert pool.start(lambda: seen.append(threading.get_ident()), name="first").join(5)
        wait_until(lambda: pool._idle)

    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_jobs_at_the_same_time_have_a_thread_each_under_their_names(pool: ThreadPool) -> None:
    together = threading.Barrier(4)
    go = threading.Event()

    def job() -> None:
        together.wait(5)
        go.wait(5)

    jobs = [pool.start(job, name=f"job {number}") for number in range(3)]
    together.wait(5)

    assert all(len(threads_named(f"job {number}")) == 1 for number in range(3))
    assert not jobs[0].join(0.01)
    go.set()
    assert all(each.join(5) for each in jobs)
    assert all(each.join(0) for each in jobs)  # and a second time


def test_a_thread_without_a_job_ends(pool: ThreadPool) -> None:
    pool.start(lambda: None, name="short").join(5)
    wait_until(lambda: pool._idle)

    wait_until(lambda: not threads_named())

    assert pool._idle == []


def test_a_job_that_comes_as_a_thread_is_about_to_end_is_done(pool: ThreadPool) -> None:
    """Jobs at about the pause after which a thread ends: each is done, whichever comes first."""
    done = []
    for number in range(40):
        pool._idle_s = 0.002
        started = pool.start(lambda number=number: done.append(number), name="job")
        assert started.join(5)
        time.sleep(0.0015 + number % 5 * 0.0003)
        pool._idle_s = 0.2

    assert done == list(range(40))


def test_a_job_that_fails_has_ended_all_the_same(pool: ThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))

    def job() -> None:
        raise ValueError

    assert pool.start(job, name="job").join(5)
    wait_until(lambda: told)

    assert told == [ValueError]
    assert pool.start(lambda: None, name="next").join(5)


class TestPacedLock:
    def test_one_at_a_time_and_with_time_for_others_in_between(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[Any] = []
        monkeypatch.setattr("zkbridge.runtime.thread_pool.time.sleep", pauses.append)
        lock = PacedLock()
        came: list[str] = []

        def come() -> None:
            with lock:
                came.append("in")
                threading.Event().wait(0.05)  # time for the other to come in, if it could
                came.append("out")

        threads = [threading.Thread(target=come) for _ in range(2)]
        with lock:
            for thread in threads:
                thread.start()
            wait_until(lambda: lock._present == 3)
            assert came == []
        for thread in threads:
            thread.join(5)

        assert came == ["in", "out", "in", "out"]
        assert pauses == [PAUSE_S, PAUSE_S]  # none after the last
        assert lock._present == 0

    def test_the_pauses_are_short_where_many_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[Any] = []
        monkeypatch.setattr("zkbridge.runtime.thread_pool.time.sleep", pauses.append)
        lock = PacedLock()

        for present in range(1000, 0, -1):
            lock._present = present - 1
            with lock:
                pass

        assert max(pauses) == PAUSE_S
        assert sum(pauses) < 4 * ALL_PAUSES_S

    def test_an_exception_releases_the_lock(self) -> None:
        lock = PacedLock()
        with pytest.raises(ValueError, match="oh"), lock:
            raise ValueError("oh")

        with lock:
            assert lock._present == 1
