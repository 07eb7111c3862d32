"""People to many terminals: a list to a group, copies with a finger, against bare pyzk doing the same in this run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import bare
from benchmarks.stage import ANSWER_TIMEOUT_S, HOST, Terminals, bridge, devices
from tests.support.caller import Caller

#: Rows of one list: about 50 kB, what `mqtt.max_payload` allows where nothing is configured.
LIST = 500
_TEMPLATE = bytes(range(1, 251)) * 2

How = Literal["create-many", "copy"]


@dataclass(frozen=True)
class People:
    """So many people brought to so many terminals. `faster` is bare pyzk's time by the bridge's."""

    how: How
    people: int
    terminals: int
    seconds: float
    bare_s: float
    faster: float
    round_trips_per_user: float
    bare_round_trips_per_user: float


def measure(folder: Path, conditions: Sequence[tuple[How, int, int]]) -> Iterator[People]:
    """Each condition: how, people, terminals that get them. Bare pyzk has terminals of its own, one after the other."""
    for place, (how, people, terminals) in enumerate(conditions):
        here = folder / f"people-{place}"
        here.mkdir()
        yield _one(here, how, people, terminals)


def _one(folder: Path, how: How, people: int, count: int) -> People:
    users = [(str(10_000 + number), f"Usuario {number}") for number in range(people)]
    source = 1 if how == "copy" else 0
    with Terminals(folder, count=count + source) as terminals:
        if source:
            bare.enrol(HOST, terminals.ports[0], users, _TEMPLATE)
        seconds, trips = _by_the_bridge(folder, how, terminals, users)
        _expect(terminals, people)
    with Terminals(folder, count=count + source) as terminals:
        if source:
            bare.enrol(HOST, terminals.ports[0], users, _TEMPLATE)
        bare_s, bare_trips = _by_pyzk(how, terminals, users)
        _expect(terminals, people)
    written = people * count
    return People(how, people, count, seconds, bare_s, bare_s / seconds, trips / written, bare_trips / written)


def _by_the_bridge(folder: Path, how: How, terminals: Terminals, users: Sequence[tuple[str, str]]) -> tuple[float, int]:
    """Seconds from the first publish to the last reply, and round trips."""
    configured = devices(terminals.ports, timeout=60)
    bodies = list(_requests(how, users))
    to, command = ("all", "users/create-many") if how == "create-many" else ("d0", "users/copy")
    with (
        bridge(folder, configured, groups={"all": list(configured)}, mqtt={"max_reply": 16_000_000}) as (daemon, _),
        Caller(daemon.config["mqtt"]["port"]) as caller,
    ):
        caller.subscribe(f"zk/{to}/{command}/reply")
        before, began = _trips(terminals), time.perf_counter()
        for number, body in enumerate(bodies):
            caller.send(f"zk/{to}/{command}", {**body, "request_id": f"r{number}"})
        for _ in bodies:
            reply = caller.wait_for(f"zk/{to}/{command}/reply", timeout=2 * ANSWER_TIMEOUT_S).json
            if not reply["success"]:
                raise RuntimeError(f"{command} failed: {reply['code']}")
        return time.perf_counter() - began, _trips(terminals) - before


def _requests(how: How, users: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    size = LIST if how == "create-many" else 100
    for start in range(0, len(users), size):
        some = users[start : start + size]
        if how == "create-many":
            yield {"users": [{"user_id": user_id, "name": name} for user_id, name in some]}
        else:
            yield {"user_ids": [user_id for user_id, _ in some], "to": ["all"]}


def _by_pyzk(how: How, terminals: Terminals, users: Sequence[tuple[str, str]]) -> tuple[float, int]:
    before, began = _trips(terminals), time.perf_counter()
    if how == "create-many":
        for port in terminals.ports:
            bare.create_many(HOST, port, users)
    else:
        bare.copy(HOST, terminals.ports[0], terminals.ports[1:])
    return time.perf_counter() - began, _trips(terminals) - before


def _trips(terminals: Terminals) -> int:
    return sum(terminals.round_trips(port) for port in terminals.ports)


def _expect(terminals: Terminals, people: int) -> None:
    """Raise RuntimeError unless everybody is on every terminal."""
    held = {terminals.do("state", port)["users"] for port in terminals.ports}
    if held != {people}:
        raise RuntimeError(f"the terminals hold {sorted(held)} users instead of {people}")
