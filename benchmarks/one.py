"""One create: publish to reply, against bare pyzk on the same terminal, in interleaved pairs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bare
from benchmarks.stage import HOST, Caller, Terminals, bridge, devices
from tests.support.waiting import wait_until

#: Bytes of a record, and of a table that comes in one answer.
RECORD, INLINE = 72, 1024


@dataclass(frozen=True)
class Pairs:
    """Medians of pairs under one condition: seconds, round trips, and the ratio of each pair."""

    users: int
    latency_ms: float
    pairs: int
    bare_s: float
    bridge_s: float
    ratio: float
    bare_round_trips: int
    bridge_round_trips: int
    least_round_trips: int


def least_round_trips(users: int) -> int:
    """What the protocol needs: connect, disable, ask for the table, its pieces, write, refresh, enable, goodbye.

    The pieces may be asked for together.
    """
    return 7 + (4 + RECORD * users > INLINE)


def measure(folder: Path, users: Sequence[int], plan: Sequence[tuple[float, int]]) -> Iterator[Pairs]:
    """Every condition: sizes of the table by a plan of latencies (ms) and pairs."""
    for count in users:
        place = folder / f"one-{count}"
        place.mkdir()
        with (
            Terminals(place, users=count) as terminals,
            bridge(place, devices(terminals.ports, timeout=60)) as (_, caller),
        ):
            caller.create("d0")  # what is learnt once is learnt; no more is left out
            for latency_ms, pairs in plan:
                terminals.set_latency(latency_ms / 1000)
                yield _compare(terminals, caller, users=count, latency_ms=latency_ms, pairs=pairs)


def _compare(terminals: Terminals, caller: Caller, *, users: int, latency_ms: float, pairs: int) -> Pairs:
    port = terminals.ports[0]
    bare_s, bridge_s, bare_trips, bridge_trips = [], [], [], []
    for number in range(pairs):
        before = terminals.round_trips()
        bare_s.append(bare.create(HOST, port, f"p{latency_ms:g}x{number}"))
        between = terminals.round_trips()
        bridge_s.append(caller.create("d0"))
        wait_until(lambda: terminals.do("state")["sessions_open"] == 0, timeout=60, what="the end of the session")
        bare_trips.append(between - before)
        bridge_trips.append(terminals.round_trips() - between)
    return Pairs(
        users=users,
        latency_ms=latency_ms,
        pairs=pairs,
        bare_s=statistics.median(bare_s),
        bridge_s=statistics.median(bridge_s),
        ratio=statistics.median(ours / theirs for ours, theirs in zip(bridge_s, bare_s, strict=True)),
        bare_round_trips=int(statistics.median(bare_trips)),
        bridge_round_trips=int(statistics.median(bridge_trips)),
        least_round_trips=least_round_trips(users),
    )
