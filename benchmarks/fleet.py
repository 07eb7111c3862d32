"""Many terminals: a create each at once, then a steady stream, then the same with some that accept and never answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import peak_bytes, resident_bytes
from benchmarks.stage import HOST, Caller, Terminals, bridge, devices


@dataclass(frozen=True)
class Spread:
    """How long the answers took (seconds from publish to reply), and how many came in a second."""

    requests: int
    per_second: float
    p50_s: float
    p99_s: float
    longest_s: float


@dataclass(frozen=True)
class Fleet:
    """What so many terminals with a latency of 20 ms did; `dead` of them only accept connections in the last run."""

    terminals: int
    at_once: Spread
    steady: Spread | None
    rate: float
    dead: int
    steady_with_dead: Spread | None
    idle_bytes: int
    peak_bytes: int


def measure(folder: Path, *, terminals: int, latency_ms: float, rate: float, seconds: float, dead: int) -> Fleet:
    """At once; then, if `seconds` is not 0, `rate` requests a second without and with `dead` terminals."""
    with Terminals(folder, count=terminals) as there, _silent(dead) as silent:
        there.set_latency(latency_ms / 1000)
        known = devices(there.ports, timeout=10)
        with bridge(folder / "well", known) as (daemon, caller):
            idle = resident_bytes(daemon.pid)
            at_once = _at_once(caller, list(known))
            peak = peak_bytes(daemon.pid)
            steady = _steady(caller, list(known), rate=rate, seconds=seconds) if seconds else None
        steady_with_dead = None
        if seconds and dead:
            mixed = devices([*silent, *there.ports[dead:]], timeout=10)
            with bridge(folder / "ill", mixed) as (_, caller):
                _at_once(caller, list(mixed)[dead:])
                steady_with_dead = _steady(caller, list(mixed), rate=rate, seconds=seconds, dead=dead)
    return Fleet(terminals, at_once, steady, rate, dead, steady_with_dead, idle, peak)


def _at_once(caller: Caller, ids: Sequence[str]) -> Spread:
    names = [caller.ask(device) for device in ids]
    caller.wait(names)
    caller.expect_success(names)
    return _spread(caller, names)


def _steady(caller: Caller, ids: Sequence[str], *, rate: float, seconds: float, dead: int = 0) -> Spread:
    """A request at each beat to the next terminal; the answers of the first `dead` ones are not looked at."""
    began = time.perf_counter()
    living = []
    for number in range(int(rate * seconds)):
        pause = began + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        place = number % len(ids)
        name = caller.ask(ids[place])
        if place >= dead:
            living.append(name)
    caller.wait(living)
    caller.expect_success(living)
    return _spread(caller, living)


def _spread(caller: Caller, names: Sequence[str]) -> Spread:
    taken = sorted(caller.seconds(name) for name in names)
    return Spread(
        requests=len(taken),
        per_second=len(taken) / caller.span(names),
        p50_s=taken[len(taken) // 2],
        p99_s=taken[min(len(taken) - 1, len(taken) * 99 // 100)],
        longest_s=taken[-1],
    )


@contextmanager
def _silent(count: int) -> Iterator[list[int]]:
    """Ports that take connections, and never answer."""
    sockets = [socket.create_server((HOST, 0), backlog=64) for _ in range(count)]
    try:
        yield [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
