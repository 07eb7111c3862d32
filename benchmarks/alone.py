"""The daemon by itself: its start, its memory, its rest, and what it writes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import cpu_of, cpu_s, resident_bytes, threads, wakeups, watch_fsyncs, written_bytes
from benchmarks.stage import Terminals, bridge, devices
from tests.support.waiting import wait_until
from zkbridge.config.models import Config

TERMINALS = 10
#: Requests far enough apart that nothing is shared, and as many at once.
APART, AT_ONCE = 8, 200
_SCRUBBED_S = 1.5
#: What any daemon of these packages imports, with one model, whatever else it is.
PACKAGES = """
import click, sqlite3, tenacity, zk
import paho.mqtt.client, ruamel.yaml
from pydantic import BaseModel
class Model(BaseModel): pass
"""


@dataclass(frozen=True)
class Alone:
    """CPU seconds until online, and of the packages' imports alone; memory, threads, CPU share and wake-ups at rest.

    The disk's bytes and fsyncs are per request.
    """

    start_cpu_s: float
    packages_cpu_s: float
    idle_bytes: int
    idle_threads: int
    idle_cpu: float
    wakeups_per_s: float
    bytes_apart: float
    fsyncs_apart: float | None
    bytes_at_once: float
    fsyncs_at_once: float | None


def measure(folder: Path, *, rest_s: float) -> Alone:
    """With ten terminals that are visited as often as by default."""
    probe_interval = Config.model_fields["probe_interval"].default
    with Terminals(folder, count=TERMINALS) as terminals:
        known = devices(terminals.ports)
        with bridge(folder / "alone", known, probe_interval=probe_interval) as (daemon, caller):
            start = cpu_s(daemon.pid)
            for device in known:
                caller.create(device)
            time.sleep(_SCRUBBED_S)
            cpu, woken = cpu_s(daemon.pid), wakeups(daemon.pid)
            time.sleep(rest_s)
            cpu, woken = cpu_s(daemon.pid) - cpu, wakeups(daemon.pid) - woken
            idle, resting = resident_bytes(daemon.pid), threads(daemon.pid)
        with bridge(folder / "disk", devices(terminals.ports[:1])) as (daemon, caller):
            caller.create("d0")
            time.sleep(_SCRUBBED_S)
            written = written_bytes(daemon.pid)
            with watch_fsyncs(daemon.pid) as apart:
                for _ in range(APART):
                    caller.create("d0")
                    time.sleep(_SCRUBBED_S)
            between = written_bytes(daemon.pid)
            with watch_fsyncs(daemon.pid) as at_once:
                names = [caller.ask("d0") for _ in range(AT_ONCE)]
                caller.wait(names)
                wait_until(lambda: terminals.do("state")["sessions_open"] == 0, what="the end of the session")
                time.sleep(_SCRUBBED_S)
            end = written_bytes(daemon.pid)
    return Alone(
        start_cpu_s=start,
        packages_cpu_s=_packages_cpu_s(),
        idle_bytes=idle,
        idle_threads=resting,
        idle_cpu=cpu / rest_s,
        wakeups_per_s=woken / rest_s,
        bytes_apart=(between - written) / APART,
        fsyncs_apart=None if apart.count is None else apart.count / APART,
        bytes_at_once=(end - between) / AT_ONCE,
        fsyncs_at_once=None if at_once.count is None else at_once.count / AT_ONCE,
    )


def _packages_cpu_s() -> float:
    """The least of some runs: the first may have to compile."""
    command = [sys.executable, "-c", PACKAGES]
    return min(cpu_of(command) for _ in range(5))
