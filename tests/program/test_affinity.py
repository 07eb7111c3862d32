"""The daemon's threads are on one CPU and patient, and it runs all the same where that cannot be had."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.runtime import affinity
from zkbridge.simulator import Simulator, TerminalConfig


@pytest.fixture(autouse=True)
def intervals(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was set instead of that of the tests."""
    told: list[float] = []
    monkeypatch.setattr(sys, "setswitchinterval", told.append)
    return told


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, set[int]]]:
    """Where this thread was told to stay; it is not kept there."""
    told: list[tuple[int, set[int]]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda who, where: told.append((who, where)))
    return told


def test_all_threads_of_a_daemon_at_work_are_on_one_cpu(tmp_path: Path, broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as daemon:
            threads = [int(path.name) for path in Path(f"/proc/{daemon.pid}/task").iterdir()]

            assert len(threads) > 3
            assert len({frozenset(os.sched_getaffinity(thread)) for thread in threads}) == 1
            assert len(os.sched_getaffinity(daemon.pid)) == 1
            assert os.sched_getaffinity(daemon.pid) <= os.sched_getaffinity(0)


def test_it_is_one_that_the_process_may_use(moved: list[tuple[int, set[int]]]) -> None:
    affinity.share_the_interpreter()

    ((who, where),) = moved
    assert who == 0
    assert len(where) == 1
    assert where <= os.sched_getaffinity(0)


@pytest.mark.usefixtures("moved")
def test_threads_that_wait_for_the_interpreter_do_not_wake_up_all_the_time(intervals: list[float]) -> None:
    affinity.share_the_interpreter()

    assert intervals == [affinity.SWITCH_INTERVAL_S]


def test_without_the_right_to_choose_a_cpu_the_start_goes_on(
    monkeypatch: pytest.MonkeyPatch, intervals: list[float]
) -> None:
    def refuse(_who: object, _where: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)

    affinity.share_the_interpreter()

    assert intervals == [affinity.SWITCH_INTERVAL_S]


@pytest.mark.parametrize("text", ["", "12 (a) b) S 1 2", "not what it should be"])
def test_where_the_present_cpu_cannot_be_read_none_is_chosen(
    monkeypatch: pytest.MonkeyPatch, moved: list[tuple[int, set[int]]], text: str
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)

    affinity.share_the_interpreter()

    assert moved == []


def test_a_name_with_blanks_and_brackets_is_no_riddle(
    monkeypatch: pytest.MonkeyPatch, moved: list[tuple[int, set[int]]]
) -> None:
    fields = " ".join(["S", *map(str, range(4, 39)), "77", "0"])
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"12 (a) b (c) {fields}")

    affinity.share_the_interpreter()

    assert moved == [(0, {77})]


def test_without_a_global_lock_all_cpus_are_used(
    monkeypatch: pytest.MonkeyPatch, moved: list[tuple[int, set[int]]], intervals: list[float]
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)

    affinity.share_the_interpreter()

    assert (moved, intervals) == ([], [])


def test_a_system_without_affinities_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")

    affinity.share_the_interpreter()
