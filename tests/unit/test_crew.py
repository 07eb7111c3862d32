"""Threads that go from one job to the next."""

import threading
import time

import pytest

from tests.support.waiting import wait_until
from zkbridge.runtime.thread_pool import ALL_PAUSES_S, PAUSE_S, Crew, Turns


def hands(name="resting"):
    return [thread for thread in threading.enumerate() if thread.name == name]


@pytest.fixture
def crew():
    made = Crew(rest_s=0.2)
    yield made
    wait_until(lambda: not hands())


def test_a_thread_that_rests_does_the_next_job(crew):
    seen = []

    for _ in range(3):
        assert crew.start(lambda: seen.append(threading.get_ident()), name="first").join(5)
        wait_until(lambda: crew._resting)

    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_jobs_at_the_same_time_have_a_thread_each_under_their_names(crew):
    together = threading.Barrier(4)
    go = threading.Event()

    def job():
        together.wait(5)
        go.wait(5)

    errands = [crew.start(job, name=f"job {number}") for number in range(3)]
    together.wait(5)

    assert all(len(hands(f"job {number}")) == 1 for number in range(3))
    assert not errands[0].join(0.01)
    go.set()
    assert all(errand.join(5) for errand in errands)
    assert all(errand.join(0) for errand in errands)  # asked again, it has still ended


def test_a_thread_that_nobody_needs_ends(crew):
    crew.start(lambda: None, name="short").join(5)
    wait_until(lambda: crew._resting)

    wait_until(lambda: not hands())

    assert crew._resting == []


def test_a_job_that_comes_as_a_thread_is_about_to_end_is_done(crew):
    """Jobs at about the pause after which a thread ends: each is done, whichever comes first."""
    done = []
    for number in range(40):
        crew._rest_s = 0.002
        errand = crew.start(lambda number=number: done.append(number), name="job")
        assert errand.join(5)
        time.sleep(0.0015 + number % 5 * 0.0003)
        crew._rest_s = 0.2

    assert done == list(range(40))


def test_a_job_that_fails_has_ended_all_the_same(crew, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))

    def job():
        raise ValueError

    assert crew.start(job, name="job").join(5)
    wait_until(lambda: told)

    assert told == [ValueError]
    assert crew.start(lambda: None, name="next").join(5)


class TestTurns:
    def test_one_at_a_time_and_with_time_for_others_in_between(self, monkeypatch):
        pauses = []
        monkeypatch.setattr("zkbridge.runtime.thread_pool.time.sleep", pauses.append)
        turns = Turns()
        came: list[str] = []

        def come():
            with turns:
                came.append("in")
                threading.Event().wait(0.05)  # time for the other to come in, if it could
                came.append("out")

        threads = [threading.Thread(target=come) for _ in range(2)]
        with turns:
            for thread in threads:
                thread.start()
            wait_until(lambda: turns._present == 3)
            assert came == []
        for thread in threads:
            thread.join(5)

        assert came == ["in", "out", "in", "out"]
        assert pauses == [PAUSE_S, PAUSE_S]  # nobody waits for one after the last
        assert turns._present == 0

    def test_however_many_wait_it_does_not_take_for_ever(self, monkeypatch):
        pauses = []
        monkeypatch.setattr("zkbridge.runtime.thread_pool.time.sleep", pauses.append)
        turns = Turns()

        for present in range(1000, 0, -1):
            turns._present = present - 1
            with turns:
                pass

        assert max(pauses) == PAUSE_S
        assert sum(pauses) < 4 * ALL_PAUSES_S

    def test_a_fault_ends_a_turn_as_well(self):
        turns = Turns()
        with pytest.raises(ValueError, match="oh"), turns:
            raise ValueError("oh")

        with turns:
            assert turns._present == 1
