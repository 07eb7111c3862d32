"""A daemon that leaks is found by what leaks, and by nothing else; one that does not is not (`make faults`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import device
from tests.support.mosquitto import Mosquitto
from tests.torture.leaking_bridge import LEAKS
from torture.soak import Soak
from torture.soak_bridge import environment
from torture.soak_clock import SharedClock
from torture.soak_heap import HeapGauge
from torture.soak_samples import judge, sample
from torture.soak_stage import SoakDaemon, SoakScene
from zkbridge.simulator import SimulatedTerminal

pytestmark = pytest.mark.slow

PROGRAM = "tests.torture.leaking_bridge"
FIGURES = {
    "memory": ["resident memory, MB", "heap at rest, MB"],
    "objects": ["objects at rest, 1,000"],
    "descriptors": ["descriptors"],
    "threads": ["threads"],
    "ledger": ["ledger, MB"],
    "log": ["log, bytes a request"],
}
#: Requests in all, and before the first sample: by then the daemon has imported and opened all that it needs.
REQUESTS, WARM = 80, 20


@pytest.mark.parametrize("leak", ["", *FIGURES])
def test_a_leak_is_found_by_the_figure_that_grows_and_by_no_other(
    leak: str, tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    """The time of a sample is the number of requests before it, each of which leaks: a slow machine changes nothing."""
    SharedClock(tmp_path / "clock")
    gauge = HeapGauge(tmp_path / "heap")
    daemon = SoakDaemon(
        tmp_path / "home",
        broker.port,
        {"p": device(terminal)},
        program=PROGRAM,
        covered=False,
        environment={**environment(tmp_path, faster=1), LEAKS: leak},
    )
    samples = []
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/p/ping/reply")
        for number in range(REQUESTS):
            caller.publish("zk/p/ping", {"request_id": str(number)})
            assert caller.wait_for("zk/p/ping/reply").json["request_id"] == str(number)
            if number >= WARM:
                samples.append(sample(daemon, gauge.read(), at=number, set_aside=0, answered=number))

    assert [one.name for one in judge(samples) if one.grows] == FIGURES.get(leak, [])


class LeakingScene(SoakScene):
    program = PROGRAM


@pytest.mark.timeout(600)
def test_a_week_of_a_daemon_that_leaks_ends_with_a_finding_for_each_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a log so short the bytes a request vary too much; above it is found alone."""
    leaks = [name for name in FIGURES if name != "log"]
    monkeypatch.setenv(LEAKS, " ".join(leaks))
    monkeypatch.setattr("torture.soak.PATIENCE_S", 5.0)  # what is not answered by then is none of this test's business
    soak = Soak(tmp_path, seed=1, seconds=60, people=50, terminals=3, tell=print, scene=LeakingScene)

    findings = soak.go().findings

    wanted = {f"{name} grows" for leak in leaks for name in FIGURES[leak]}
    assert {each.partition(":")[0] for each in findings} >= wanted
