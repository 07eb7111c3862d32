"""What is to be done later or again."""

import errno
import threading

import pytest

from tests.support.waiting import wait_until
from zkbridge.runtime import scheduler as upkeep
from zkbridge.runtime.scheduler import Upkeep


class Deaths:
    """A supervisor that notes what it is told."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def fail(self, error: BaseException) -> None:
        self.errors.append(error)


def test_jobs_run_when_they_are_due_and_again_at_their_next_time() -> None:
    done: list[str] = []
    supervisor = Deaths()
    work = Upkeep(supervisor)

    def often() -> float | None:
        done.append("often")
        return 0.01 if len(done) < 5 else None

    work.later("late", 60, lambda: done.append("late"))
    work.later("soon", 0.01, often)
    work.later("soon", 0, lambda: done.append("a key that waits already"))
    work.start()
    wait_until(lambda: len(done) == 5)
    work.stop()

    assert set(done) == {"often"}
    assert supervisor.errors == []


def test_nothing_runs_after_the_stop() -> None:
    done: list[str] = []
    work = Upkeep(Deaths())
    work.start()
    work.stop()
    work.later("x", 0, lambda: done.append("x"))

    assert done == []


def test_a_job_that_fails_is_logged_and_ends_the_thread() -> None:
    supervisor = Deaths()
    work = Upkeep(supervisor)
    work.start()
    work.later("x", 0, lambda: 1 // 0)
    wait_until(lambda: supervisor.errors)

    assert isinstance(supervisor.errors[0], ZeroDivisionError)
    work.stop()


def test_a_job_to_which_the_system_refuses_something_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "AGAIN_S", 0.01)
    supervisor = Deaths()
    work = Upkeep(supervisor)
    tries: list[int] = []

    def look() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "Permission denied", "backups")

    work.start()
    work.later("backups", 0, look)
    wait_until(lambda: len(tries) == 3)
    work.stop()

    assert supervisor.errors == []
    assert caplog.text.count("the job backups failed") == 2


def test_a_job_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "HUNG_AFTER_S", 0.05)
    work, release = Upkeep(Deaths()), threading.Event()
    work.start()
    assert work.is_well()
    work.later("x", 0, release.wait)
    wait_until(lambda: not work.is_well())
    release.set()
    wait_until(work.is_well)
    work.stop()
