"""What each test costs, counted while they run: `pytest --costs FILE` writes it as JSON, by the test's id.

CPU seconds are user and system time of the test's own process, of the children that ended during the test, and of the
daemons that ended during it. A daemon that several tests share counts for the test after which it is stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.daemon import Daemon
from tests.support.nursery import Nursery

#: Clock ticks a second, in which /proc counts CPU time (proc(5)).
_TICKS = os.sysconf("SC_CLK_TCK")
_KEY = "costs"


class Cost(NamedTuple):
    """CPU seconds, and how many daemons were started."""

    cpu_s: float
    daemons: int


class Costs:
    """A plugin of pytest: in a process that runs tests, and in the one that collects what xdist's workers found."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, Cost] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        cpu_s, daemons = cpu_seconds(), Daemon.started
        result = yield
        self._found[item.nodeid] = Cost(round(cpu_seconds() - cpu_s, 3), Daemon.started - daemons)
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_KEY] = {test: list(cost) for test, cost in self._found.items()}
        else:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._found))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        found = getattr(node, "workeroutput", {}).get(_KEY, {})
        self._found |= {test: Cost(*cost) for test, cost in found.items()}


def cpu_seconds() -> float:
    """User and system time so far of this process, its children that have ended, and the nursery with its own."""
    own = sum(os.times()[:4])
    if Nursery.current is None:
        return own
    # "pid (name) state …": utime, stime, cutime and cstime are the fields 14 to 17.
    fields = Path(f"/proc/{Nursery.current.pid}/stat").read_text().rpartition(")")[2].split()
    return own + sum(map(int, fields[11:15])) / _TICKS


def read(file: Path) -> dict[str, Cost]:
    """Read what `--costs` has written. Raises OSError, ValueError."""
    return {test: Cost(*cost) for test, cost in json.loads(file.read_text()).items()}
