"""Many terminals: a create each at once, then a steady stream, then the same with some that accept and never answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_s, peak_bytes, resident_bytes
from benchmarks.stage import HOST, Caller, Devices, Terminals, bridge, devices
from tests.support.daemon import Daemon
from tests.support.waiting import wait_until

#: How long it is looked whether the bridge has anything to do.
_LOOK_S = 0.5


@dataclass(frozen=True)
class Spread:
    """How long the answers took (seconds from publish to reply), and how many came in a second."""

    requests: int
    per_second: float
    p50_s: float
    p99_s: float
    longest_s: float


@dataclass(frozen=True)
class Stream:
    """A steady stream of `rate` creates a second over all terminals; in a second one `dead` of them only accept.

    `cpu_s` is the bridge's for one create. `while_answered` are those requests to the living of which some of the time
    passed in a second in which requests to the dead were answered, `otherwise` the others.
    """

    rate: float
    steady: Spread
    cpu_s: float
    dead: int
    with_dead: Spread
    while_answered: Spread | None
    otherwise: Spread | None


@dataclass(frozen=True)
class Fleet:
    """What so many terminals did. `cpu_s` is the bridge's for one of the creates at once."""

    terminals: int
    at_once: Spread
    cpu_s: float
    idle_bytes: int
    peak_bytes: int
    streams: list[Stream]


@dataclass(frozen=True)
class _Taken:
    """When each request was asked and answered."""

    times: list[tuple[float, float]]

    def spread(self) -> Spread:
        taken = sorted(answered - asked for asked, answered in self.times)
        span = max(answered for _, answered in self.times) - min(asked for asked, _ in self.times)
        return Spread(
            requests=len(taken),
            per_second=len(taken) / span,
            p50_s=taken[len(taken) // 2],
            p99_s=taken[min(len(taken) - 1, len(taken) * 99 // 100)],
            longest_s=taken[-1],
        )

    def part(self, seconds: set[int], *, touched: bool) -> _Taken | None:
        """The requests that were under way in one of these seconds, or in none."""
        times = [
            (asked, answered)
            for asked, answered in self.times
            if touched != seconds.isdisjoint(range(int(asked), int(answered) + 1))
        ]
        return _Taken(times) if times else None


def measure(
    folder: Path, *, terminals: int, latency_ms: float, rates: Sequence[float], seconds: float, dead: int
) -> Fleet:
    """A create each at once; then a stream of each rate, for so many seconds without and with `dead` terminals."""
    with Terminals(folder, count=terminals) as there, _silent(dead) as silent:
        there.set_latency(latency_ms / 1000)
        known = devices(there.ports, timeout=10)
        with bridge(folder / "well", known) as (daemon, caller):
            idle, cpu = resident_bytes(daemon.pid), cpu_s(daemon.pid)
            at_once = _at_once(caller, list(known))
            cpu, peak = cpu_s(daemon.pid) - cpu, peak_bytes(daemon.pid)
        mixed = devices([*silent, *there.ports[dead:]], timeout=10)
        streams = [
            _stream(folder / f"{rate:g} a second", known, mixed, rate=rate, seconds=seconds, dead=dead)
            for rate in rates
        ]
    return Fleet(terminals, at_once, cpu / terminals, idle, peak, streams)


def _stream(folder: Path, known: Devices, mixed: Devices, *, rate: float, seconds: float, dead: int) -> Stream:
    """The stream without the dead is halved, before and after, so that a machine that slows down tells no lie."""
    before, cpu = _half(folder / "before", known, rate=rate, seconds=seconds / 2)
    with bridge(folder / "ill", mixed) as (daemon, caller):
        _at_once(caller, list(mixed)[dead:])
        _come_to_rest(daemon)
        living, answered = _steady(caller, list(mixed), rate=rate, seconds=seconds, dead=dead)
    after, _ = _half(folder / "after", known, rate=rate, seconds=seconds / 2)
    return Stream(
        rate=rate,
        steady=_joined([before, after]),
        cpu_s=cpu,
        dead=dead,
        with_dead=living.spread(),
        while_answered=_spread_of(living.part(answered, touched=True)),
        otherwise=_spread_of(living.part(answered, touched=False)),
    )


def _half(folder: Path, known: Devices, *, rate: float, seconds: float) -> tuple[_Taken, float]:
    """A stream to terminals that are all well, and the bridge's CPU seconds for one create."""
    with bridge(folder, known) as (daemon, caller):
        _at_once(caller, list(known))
        _come_to_rest(daemon)
        cpu = cpu_s(daemon.pid)
        taken, _ = _steady(caller, list(known), rate=rate, seconds=seconds)
        return taken, (cpu_s(daemon.pid) - cpu) / len(taken.times)


def _come_to_rest(daemon: Daemon) -> None:
    """Wait for the goodbyes that follow the last reply: a stream would begin with them, and drain them for long."""

    def rests() -> bool:
        before = cpu_s(daemon.pid)
        time.sleep(_LOOK_S)
        return cpu_s(daemon.pid) - before < _LOOK_S / 20

    wait_until(rests, timeout=60, what="the bridge to rest")


def _at_once(caller: Caller, ids: Sequence[str]) -> Spread:
    names = [caller.ask(device) for device in ids]
    caller.wait(names)
    caller.expect_success(names)
    return _Taken([caller.times(name) for name in names]).spread()


def _steady(
    caller: Caller, ids: Sequence[str], *, rate: float, seconds: float, dead: int = 0
) -> tuple[_Taken, set[int]]:
    """A request at each beat to the next terminal: the times of all but the first `dead` ones.

    And the seconds in which requests to those were answered.
    """
    began = time.perf_counter()
    living: list[Any] = []
    lost: list[Any] = []
    for number in range(int(rate * seconds)):
        pause = began + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        place = number % len(ids)
        (living if place >= dead else lost).append(caller.ask(ids[place]))
    caller.wait(living)
    caller.expect_success(living)
    answered = {int(caller.times(name)[1]) for name in caller.answered(lost)}
    return _Taken([caller.times(name) for name in living]), answered


def _joined(halves: Sequence[_Taken]) -> Spread:
    """The spread of streams as if they were one; the rate is the mean of theirs."""
    both = _Taken([time for half in halves for time in half.times]).spread()
    return replace(both, per_second=sum(half.spread().per_second for half in halves) / len(halves))


def _spread_of(taken: _Taken | None) -> Spread | None:
    return taken.spread() if taken else None


@contextmanager
def _silent(count: int) -> Iterator[list[int]]:
    """Ports that take connections, and never answer."""
    sockets = [socket.create_server((HOST, 0), backlog=64) for _ in range(count)]
    try:
        yield [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
