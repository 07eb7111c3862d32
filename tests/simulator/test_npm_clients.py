"""Clients from npm that nobody here wrote, unmodified, by TCP and by UDP."""

# ruff: noqa: DTZ001  a terminal knows no time zone
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal

CLIENTS = Path(__file__).with_name("clients")
LIBRARIES = ("node-zklib", "zklib-js", "zkteco-js")
WHEN = datetime(2026, 5, 10, 8, 30, 15)
PATIENCE_S = 60


@pytest.fixture(scope="session")
def npm_clients() -> Path:
    """The folder of the clients, installed; a machine without npm skips, a CI must not."""
    missing = next((program for program in ("node", "npm") if shutil.which(program) is None), None)
    if missing is not None:
        said = f"{missing} is not on the PATH: install Node.js to test with the npm clients"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    # Several test processes may come here at once.
    with (CLIENTS / ".gitignore").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((CLIENTS / "node_modules" / name).is_dir() for name in LIBRARIES):
            command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=CLIENTS, check=True, capture_output=True, timeout=PATIENCE_S)
    return CLIENTS


CASES = [
    (library, way, count)
    for library in LIBRARIES
    for way in ("tcp", "udp")
    for count in (3, 2000)
    # zkteco-js returns nothing from a UDP download in pieces, whatever the terminal does.
    if (library, way, count) != ("zkteco-js", "udp", 2000)
]


def met(start: Callable[..., SimulatedTerminal], way: str) -> SimulatedTerminal:
    """TCP with 72- and 40-byte records, or UDP with 28 and 16: each of these clients knows just this pair."""
    if way == "tcp":
        return start(profile="tft", transport="tcp")
    # They take the UDP event of a punch in 18 bytes only, so with 10 of data.
    return start(profile="bw", transport="udp", event="10", user_capacity=5000)


@pytest.mark.parametrize(("library", "way", "count"), CASES)
def test_it_reads_writes_and_watches(
    npm_clients: Path, start: Callable[..., SimulatedTerminal], library: str, way: str, count: int
) -> None:
    terminal = met(start, way)
    udp = way == "udp"
    if udp and count < 10:
        # They read what comes at once by UDP as 8-byte records with the time in the second half.
        terminal.switches.attendance = "8b"
    # They tell frames apart by the time between them, which a busy machine stretches.
    terminal.switches.gap = 0.05
    terminal.fill_users(count)
    for minute in range(count):
        terminal.punch("2", state=1, when=WHEN.replace(minute=minute % 60))

    result = run(npm_clients, terminal, library)

    capacity = terminal.switches.record_capacity
    assert result["way"] == terminal.switches.transport
    assert result["info"] == {"userCounts": count, "logCounts": count, "logCapacity": capacity}
    assert (result["disabled"], result["enabled"]) == (True, True)
    first_user = "1" if udp else "2"
    assert (result["users"]["count"], result["users"]["user"], result["users"]["error"]) == (count, first_user, None)
    first_punch = {"count": count, "user": "2", "time": "2026-05-10T08:00:15.000Z", "error": None}
    assert result["attendance"] == first_punch
    assert result["punch"]["time"] == "2026-05-10T08:30:15.000Z"
    assert result["punch"]["user"] == "2"
    if not udp:
        assert (result["set"], result["deleted"], result["deletedAgain"]) == (2000, 2000, 2001)
        assert (terminal.users()[-1].user_id, terminal.users()[-1].name) == ("909", "Npm")
    wait_until(lambda: terminal.sessions_open == 0)


def run(folder: Path, terminal: SimulatedTerminal, library: str) -> dict:
    """Run the script, punch when it watches, and return what it found."""
    command = ["node", "stranger.cjs", library, terminal.host, str(terminal.port), terminal.switches.transport]
    environment = {**os.environ, "TZ": "UTC"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        said = []
        for line in client.stdout:
            said.append(line)
            if line == "READY\n":
                wait_until(lambda: terminal.counts[500] and terminal.log[-1].direction == "out")
                terminal.punch("2", when=WHEN)
        errors = client.stderr.read()
    assert client.returncode == 0, errors
    return json.loads(said[-1].removeprefix("RESULT "))
