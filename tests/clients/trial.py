"""Runs one client against one terminal, and judges each operation by what the terminal holds."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.clients import installing
from tests.clients.catalogue import Client, Way
from tests.clients.stand import KEY, PUNCHES, TEMPLATE, USERS, WHEN, Stand
from tests.support.waiting import wait_until

PROGRAMS = Path(__file__).with_name("programs")
RUNNERS = {".py": [sys.executable], ".cjs": ["node"], ".php": ["php"], ".rb": ["ruby", "-W0"]}
REG_EVENT, UNLOCK, ENABLE, DISABLE = 500, 31, 1002, 1003
LATER = datetime(2031, 5, 6, 7, 8, 9)  # noqa: DTZ001  a terminal knows no zone
TOLERANCE = timedelta(minutes=3)
PUNCHED = {"user_id": "1001", "time": WHEN.isoformat()}

Results = dict[str, dict[str, Any]]


def run(client: Client, stand: Stand, way: Way) -> Results:
    """Start the client's program, punch when it listens, and return what it found."""
    installing.ready(client)
    runner = RUNNERS[Path(client.program).suffix]
    arguments = [client.module, stand.host, str(stand.port), way, str(KEY if client.knows_keys else 0)]
    environment = {**os.environ, "TZ": "UTC", "NODE_PATH": str(installing.HERE / "node_modules")}
    if client.home in ("pypi", "folder"):
        environment["PYTHONPATH"] = str(installing.folder(client))
    command = [*runner, str(PROGRAMS / client.program), *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line == "READY\n":
                wait_until(lambda: stand.counts[REG_EVENT] > 0, timeout=30, what="the registration for events")
                stand.terminal.punch("1001", when=WHEN)
        errors = process.stderr.read()
    assert process.returncode == 0, errors
    results: Results = json.loads(said[-1].removeprefix("RESULT "))
    return results


def faults(results: Results, stand: Stand, *, users: int = USERS, punches: int = PUNCHES) -> dict[str, str]:
    """The operations that did not do what they say, each with what came of it."""
    told = expected(stand, users, punches)
    done = effects(stand)
    wrong = {}
    for name, result in results.items():
        if "error" in result:
            wrong[name] = str(result["error"])
        elif name in told and not agrees(result["value"], told[name]):
            wrong[name] = f"{result['value']} instead of {told[name]}"
        elif not done.get(name, True):
            wrong[name] = f"answered {result['value']}, but the terminal shows nothing of it"
    return wrong


def expected(stand: Stand, users: int, punches: int) -> dict[str, Any]:
    """What an operation must find: a value, a part of which is enough, or a moment."""
    return {
        "connect": True,
        "serial number": stand.option("~SerialNumber"),
        "platform": stand.option("~Platform"),
        "firmware": "Ver 6.60 May 25 2018",
        "sizes": {"users": users, "records": punches},
        "clock": datetime.now(),  # noqa: DTZ005  a terminal knows no zone
        "disable": True,
        "users": {"count": users, "uid": users, "user_id": str(1000 + users), "name": f"U {users}"},
        "attendance": {**PUNCHED, "user_id": "1" if stand.logs_uids else "1001", "count": punches, "state": 1},
        "template": hashlib.sha256(TEMPLATE).hexdigest(),
        "templates": [[1, 3, len(TEMPLATE)]],
        "enable": True,
        "enrol": True,
        "unlock": True,
        "time zone": True,
        "group": True,
        # An event of ten bytes names the uid.
        "punch": {**PUNCHED, "user_id": "1"} if stand.narrow else PUNCHED,
    }


def effects(stand: Stand) -> dict[str, bool]:
    """Whether the terminal shows what an operation should have done."""
    users, fingers, counts = stand.users(), stand.fingers(), stand.counts
    with suppress(AssertionError):
        wait_until(lambda: stand.terminal.sessions_open == 0, timeout=3, what="the end of the client's sessions")
    return {
        "disable": counts[DISABLE] > 0,
        "enable": counts[ENABLE] > 0 and not stand.terminal.disabled,
        "write user": users.get(200) == ("2200", "Ana"),
        "delete user": 2 not in users,
        "write template": fingers.get((1, 4)) == fingers.get((1, 3)),
        "enrol": (3, 5) in fingers,
        "unlock": counts[UNLOCK] > 0,
        "set the clock": abs(stand.clock - LATER) < TOLERANCE,
        "disconnect": stand.terminal.sessions_open == 0,
    }


def agrees(value: Any, wanted: Any) -> bool:
    """Whether all that a client told is as it should be; it may tell less."""
    if isinstance(wanted, datetime):
        return abs(datetime.fromisoformat(value) - wanted) < TOLERANCE
    if isinstance(wanted, dict):
        return bool(value) and all(item in wanted.items() for item in value.items())
    return bool(value == wanted)
