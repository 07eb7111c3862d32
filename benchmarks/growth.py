"""How cost grows with users, requests and terminals: the lines of the picture, and how steep they end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.burst import Burst
from benchmarks.fleet import Fleet, Spread
from benchmarks.one import Pairs
from benchmarks.picture import Chart, Line

OURS = "zkbridge"


def charts(pairs: Sequence[Pairs], bursts: Sequence[Burst], fleets: Sequence[Fleet]) -> Iterator[Chart]:
    """Every chart, in the order of the page."""
    yield _one_create(pairs)
    yield _round_trips(pairs)
    yield from _many_creates(bursts)
    yield _terminals(fleets)
    yield _memory(fleets)


def charts_of(measured: Mapping[str, Any]) -> list[Chart]:
    """The charts of what docs/performance.json holds."""
    fleets = [Fleet(**{**each, "at_once": Spread(**each["at_once"])}) for each in measured["fleet"]]
    pairs = [Pairs(**each) for each in measured["one"]]
    bursts = [Burst(**each) for each in measured["burst"]]
    return list(charts(pairs, bursts, fleets))


def slope(line: Line) -> float | None:
    """How a line ends: 1 is linear, 2 quadratic; None where two points are wanting."""
    if len(line.points) < 2:
        return None
    (x1, y1), (x2, y2) = sorted(line.points)[-2:]
    return math.log(y2 / y1) / math.log(x2 / x1)


def _one_create(pairs: Sequence[Pairs]) -> Chart:
    def over_users(latency_ms: float, seconds: Callable[[Pairs], float]) -> list[tuple[float, float]]:
        return [(pair.users, 1000 * seconds(pair)) for pair in pairs if pair.latency_ms == latency_ms and pair.users]

    return Chart(
        "One create",
        "users in the table",
        "milliseconds",
        [
            Line("bare pyzk, 20 ms", over_users(20, lambda pair: pair.bare_s)),
            Line(f"{OURS}, 20 ms", over_users(20, lambda pair: pair.bridge_s)),
            Line("bare pyzk, no latency", over_users(0, lambda pair: pair.bare_s)),
            Line(f"{OURS}, no latency", over_users(0, lambda pair: pair.bridge_s)),
        ],
    )


def _round_trips(pairs: Sequence[Pairs]) -> Chart:
    counted = [pair for pair in pairs if pair.latency_ms == 0 and pair.users]
    return Chart(
        "One create",
        "users in the table",
        "round trips",
        [
            Line("bare pyzk", [(pair.users, pair.bare_round_trips) for pair in counted]),
            Line(OURS, [(pair.users, pair.bridge_round_trips) for pair in counted]),
            Line("least", [(pair.users, pair.least_round_trips) for pair in counted]),
        ],
    )


def _many_creates(bursts: Sequence[Burst]) -> Iterator[Chart]:
    queued = sorted((b.requests, b.seconds, b.bare_s) for b in bursts if (b.users, b.latency_ms) == (10_000, 0))
    yield Chart(
        "Creates at once, one terminal, 10,000 users, no latency",
        "requests",
        "seconds until the last reply",
        [
            Line("bare pyzk", [(count, count * bare) for count, _, bare in queued]),
            Line(OURS, [(count, seconds) for count, seconds, _ in queued]),
        ],
    )
    tables = sorted(
        (b.users, b.seconds, 200 * b.bare_s) for b in bursts if b.requests == 200 and b.users and not b.latency_ms
    )
    yield Chart(
        "200 creates at once, one terminal, no latency",
        "users in the table",
        "seconds until the last reply",
        [
            Line("bare pyzk", [(users, bare) for users, _, bare in tables]),
            Line(OURS, [(users, seconds) for users, seconds, _ in tables]),
        ],
    )


def _terminals(fleets: Sequence[Fleet]) -> Chart:
    return Chart(
        "One create on each terminal at once, 20 ms",
        "terminals",
        "seconds until the last reply",
        [Line(OURS, [(f.terminals, f.at_once.longest_s) for f in fleets])],
    )


def _memory(fleets: Sequence[Fleet]) -> Chart:
    return Chart(
        "Memory, all terminals busy at once",
        "terminals",
        "most memory, MB",
        [Line(OURS, [(f.terminals, f.peak_bytes / 1_000_000) for f in fleets])],
    )
