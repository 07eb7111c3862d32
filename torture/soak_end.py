"""What must hold when the week is over: the clocks, one life of the daemon, nothing left in the ledger."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime

from torture.frame import Stage
from zkbridge.simulator import SimulatedTerminal

#: Seconds by which the clock of a terminal may be off that was just set: it counts whole ones.
CLOCK_WITHIN_S = 3.0
#: What the ledger may not hold any more.
QUERIES = {
    "unfinished requests": "SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')",
    "unsent answers": "SELECT count(*) FROM answers WHERE owed = 1",
    "punches": "SELECT count(*) FROM punches",
    "terminals to be enabled": "SELECT count(*) FROM debts",
}


def clocks_that_are_off(terminals: Mapping[str, SimulatedTerminal], now: datetime) -> list[str]:
    """Terminals that do not show what the walls show."""
    off = {name: (terminal.time - now).total_seconds() for name, terminal in terminals.items()}
    return [f"the clock of {name} is off by {s:.0f} s" for name, s in off.items() if abs(s) > CLOCK_WITHIN_S]


def check(stage: Stage) -> list[str]:
    """`zkbridge check --connect` beside the daemon."""
    path = stage.daemon.folder / "config.yaml"
    command = [sys.executable, "-m", "zkbridge", "check", "--connect", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return [f"zkbridge check: {done.returncode}\n{done.stdout}{done.stderr}"] if done.returncode else []


def life(stage: Stage, *, expired: bool) -> list[str]:
    """The daemon lived once, without a fault of its own, and said it where the broker's certificate had expired."""
    log = stage.daemon.log
    starts = log.count(" starts with ")
    found = [f"the daemon was started {starts} times"] if starts != 1 else []
    if expired and "certificate" not in log:
        found.append("the log does not say that the certificate has expired")
    wrong = ("CRITICAL", "Traceback", "a fault of the bridge's own", "error_id=")
    return found + [line for line in log.splitlines() if any(word in line for word in wrong)][:5]


def left_in_ledger(stage: Stage) -> list[str]:
    """What the stopped daemon has not ended."""
    counts = {what: stage.stored(query)[0][0] for what, query in QUERIES.items()}
    return [f"the ledger holds {count} {what}" for what, count in counts.items() if count]
