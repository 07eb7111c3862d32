"""The bridge in a simulated world: a few seeds without a finding, and bugs that the world finds and explains."""

import os
import subprocess
import sys

import pytest

from tests.project.tree import ROOT
from torture.simulated.bugs import BUGS
from torture.simulated.minimise import minimise
from torture.simulated.plan import WEIGHTS, Event, draw, without


def world(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own: it replaces clocks and threads, and coverage cannot follow fibers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-m", "torture", "world", *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_some_seeds_break_no_promise() -> None:
    done = world("--seed", "1", "--seeds", "4", "--steps", "6000")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "findings 0" in done.stdout


@pytest.mark.slow
def test_the_same_seed_is_the_same_story() -> None:
    first, second = (world("--story", "--seed", "3", "--steps", "3000") for _ in range(2))

    assert "the bridge starts" in first.stdout
    assert first.stdout == second.stdout


def test_bugs_are_found() -> None:
    done = world("--bugs", "swapped commit", "lost wake-up")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 bugs, 2 found, 0 missed" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_bug_is_found() -> None:
    done = world("--bugs")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(BUGS)} bugs, {len(BUGS)} found, 0 missed" in done.stdout


def test_a_plan_is_cut_down_to_the_events_that_it_takes() -> None:
    plan = draw(7, 60)
    first, second = plan[20], plan[41]

    shorter = minimise(plan, lambda events: _at(events, first) == 20 and _at(events, second) is not None)

    assert [event.arg for event in shorter if event.arg in (first.arg, second.arg)] == [first.arg, second.arg]
    assert len(shorter) == 21 + 1, "20 events keep the first in its place"


def test_events_behind_those_that_are_cut_stay_at_their_steps() -> None:
    plan = [Event(2, "ask", 1), Event(3, "kill", 2), Event(4, "wait", 3)]

    assert without(plan, 1, 1) == [Event(2, "ask", 1), Event(7, "wait", 3)]


def test_a_seed_draws_every_kind_of_event() -> None:
    assert {event.name for event in draw(1, 3000)} == set(WEIGHTS)


def _at(events: list[Event], wanted: Event) -> int | None:
    return next((at for at, event in enumerate(events) if event.arg == wanted.arg), None)
