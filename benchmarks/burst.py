"""Many creates at once for one terminal, against as many times the bare sequence."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bare
from benchmarks.stage import HOST, Terminals, bridge, devices
from tests.support.waiting import wait_until

_BARE_RUNS = 3


@dataclass(frozen=True)
class Burst:
    """One burst. `bare_s` is one bare create; `faster` is how many times as long as many of those would take."""

    users: int
    latency_ms: float
    requests: int
    seconds: float
    bare_s: float
    faster: float
    round_trips_per_user: float
    connections: int
    longest_disabled_s: float


def measure(folder: Path, conditions: Sequence[tuple[int, float, int]]) -> Iterator[Burst]:
    """Each condition (users in the table, latency in ms, requests) on a terminal and a bridge of its own."""
    for place, (users, latency_ms, requests) in enumerate(conditions):
        here = folder / f"burst-{place}"
        here.mkdir()
        yield _one(here, users=users, latency_ms=latency_ms, requests=requests)


def _one(folder: Path, *, users: int, latency_ms: float, requests: int) -> Burst:
    with (
        Terminals(folder, users=users) as terminals,
        bridge(folder, devices(terminals.ports, timeout=60)) as (_, caller),
    ):
        caller.create("d0")
        terminals.set_latency(latency_ms / 1000)
        first = [bare.create(HOST, terminals.ports[0], f"before{number}") for number in range(_BARE_RUNS)]
        trips, connections = terminals.round_trips(), terminals.connections()
        kept_off = len(terminals.disabled_s())  # by bare pyzk, for a large table longer than by the burst
        names = [caller.ask("d0") for _ in range(requests)]
        caller.wait(names)
        caller.expect_success(names)
        wait_until(lambda: terminals.do("state")["sessions_open"] == 0, timeout=60, what="the end of the session")
        trips, connections = terminals.round_trips() - trips, terminals.connections() - connections
        longest = max(terminals.disabled_s()[kept_off:])
        last = [bare.create(HOST, terminals.ports[0], f"after{number}") for number in range(_BARE_RUNS)]
        one = statistics.median([*first, *last])
        seconds = caller.span(names)
        return Burst(
            users=users,
            latency_ms=latency_ms,
            requests=requests,
            seconds=seconds,
            bare_s=one,
            faster=one * requests / seconds,
            round_trips_per_user=trips / requests,
            connections=connections,
            longest_disabled_s=longest,
        )
