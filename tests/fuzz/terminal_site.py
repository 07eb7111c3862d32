"""A bridge with a terminal behind a mutating proxy, one that shows any table, and an honest one; and what must hold."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.broken import Broken
from tests.fuzz.proxy import MutatingProxy, Mutation
from tests.fuzz.tables import Table
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.hostile_terminal import USERS, HostileTerminal
from tests.support.memory import MB, peak, reset_peak, resident
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

BASE = "fuzz"
#: What a terminal may cost.
MEMORY = 32 * MB
#: Seconds for an answer: the deadline of its conversation, as much for settling what was written, and some to spare.
TIMEOUT, DEADLINE = 0.4, 4
ANSWER_S, HONEST_S = 3 * DEADLINE, 3.0
USERS_AT_FIRST, PUNCHES = 60, 120
#: After so many users the simulated terminal is emptied.
MOST_USERS = 200
#: What can go wrong with a terminal; a fault of the bridge's own (`internal`) is none of these.
FAILURES = {"device_timeout", "device_unreachable", "device_rejected", "device_auth_failed", "device_full"}
COMMANDS: dict[str, set[str]] = {
    "ping": {"ok"},
    "info": {"ok"},
    "users/list": {"ok"},
    "attendance/list": {"ok"},
    "users/fingers": {"ok", "user_not_found"},
    "users/create": {"created", "user_exists", "invalid_field"},
    "users/delete": {"deleted", "user_not_found"},
    "time/get": {"ok"},
}


@dataclass
class TerminalSite:
    """What the property asks, one request after the other; `sessions` counts connections to the mutated terminal."""

    daemon: Daemon
    caller: Caller
    proxy: MutatingProxy
    simulated: SimulatedTerminal
    shown: HostileTerminal
    baseline: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def sessions(self) -> int:
        """Connections to the terminal behind the proxy and to the one that shows tables."""
        return self.proxy.connections + self.shown.connections

    @property
    def messages(self) -> int:
        """Requests so far."""
        return len(self.asked)

    def ask_mutated(self, command: str, mutations: Sequence[Mutation]) -> None:
        """One request to the terminal behind the proxy, whose answers are changed."""
        if len(self.simulated.users()) > MOST_USERS:
            for user in self.simulated.users():
                self.simulated.delete_user(user.user_id)
        self.proxy.mutations = mutations
        user_id = str(100_000 + len(self.asked))
        try:
            answer = self._ask("mutated", command, user_id)
        finally:
            self.proxy.mutations = ()
        held = {user.user_id for user in self.simulated.users()}
        if answer["code"] == "created" and user_id not in held:
            raise Broken(f"created is said of a user whom the terminal does not hold: {answer}")
        # A reply to a write, or its table, may be changed into a plausible lie: then only the terminal is to blame.

    def ask_shown(self, table: Table) -> None:
        """A list of the terminal that shows this table."""
        table.put_into(self.shown)
        command = "users/list" if table.command == USERS else "attendance/list"
        answer = self._ask("shown", command, "")
        if answer["code"] != "ok":
            return
        total, length = answer["total"], min(table.length, len(table.records))
        if table.command == USERS and (total > 65_535 or length not in (total * 72, total * 28)):
            raise Broken(f"{total} users are told of a table of {length} bytes")
        if table.command != USERS and total > (length // 8 if table.count is None else table.count):
            raise Broken(f"{total} punches are told of a log of {length} bytes that counts {table.count}")

    def ask_honest(self) -> None:
        """A request to a terminal that does nothing wrong is answered soon."""
        began = time.monotonic()
        answer = self._ask("honest", "time/get", "")
        if answer["code"] != "ok" or time.monotonic() - began > HONEST_S:
            raise Broken(f"the neighbour was answered in {time.monotonic() - began:.1f} s: {answer}")

    def check_answers(self) -> None:
        """Every request was answered once."""
        told = [message.json.get("request_id") for message in self.caller.messages if message.topic.endswith("/reply")]
        wrong = {request_id: told.count(request_id) for request_id in self.asked if told.count(request_id) != 1}
        if wrong:
            raise Broken(f"answers that were not given once: {wrong}")

    def _ask(self, device: str, command: str, user_id: str) -> dict[str, Any]:
        request_id = f"r{len(self.asked)}"
        self.asked.append(request_id)
        body = {"request_id": request_id} | ({"user_id": user_id} if command.startswith("users/") and user_id else {})
        if command == "users/create":
            body["name"] = "Ana"
        if command == "users/list":
            body.pop("user_id", None)
        reset_peak(self.daemon.pid)
        self.caller.publish(f"{BASE}/{device}/{command}", json.dumps(body).encode())
        answer: dict[str, Any] = self.caller.wait_for(f"{BASE}/{device}/{command}/reply", timeout=ANSWER_S).json
        if answer.get("request_id") != request_id:
            raise Broken(f"the answer to another request: {answer}")
        if answer["code"] not in COMMANDS[command] | FAILURES:
            raise Broken(f"{command} is answered {answer}\n{self.daemon.log[-3000:]}")
        if not self.daemon.running:
            raise Broken(f"the daemon has ended\n{self.daemon.log[-3000:]}")
        if (most := peak(self.daemon.pid) - self.baseline) > MEMORY:
            raise Broken(f"{most // MB} MB above the baseline")
        return answer


@contextmanager
def terminal_site(folder: Path, broker_port: int) -> Iterator[TerminalSite]:
    """Start it, and stop it."""
    with Simulator() as simulator:
        simulated, honest = (simulator.add(TerminalConfig(profile="tft")) for _ in range(2))
        simulated.fill_users(USERS_AT_FIRST)
        for n in range(PUNCHES):
            simulated.punch(simulated.users()[n % USERS_AT_FIRST].user_id)
        with MutatingProxy(simulated.port) as proxy, HostileTerminal() as shown:
            quick = {"host": "127.0.0.1", "timeout": TIMEOUT}
            daemon = Daemon(
                folder,
                broker_port,
                {
                    "mutated": quick | {"port": proxy.port},
                    "shown": quick | {"port": shown.port},
                    "honest": device(honest),
                },
                mqtt={"base_topic": BASE},
                retry={"attempts": 2, "initial_delay": 0.02, "max_delay": 0.05, "deadline": DEADLINE},
                language="en",
                covered=False,
            )
            with daemon, Caller(broker_port) as caller:
                caller.subscribe(f"{BASE}/#", no_local=True)
                site = TerminalSite(daemon, caller, proxy, simulated, shown)
                site.baseline = resident(daemon.pid)
                for command in COMMANDS:  # what is loaded at the first request is loaded now
                    site.ask_mutated(command, ())
                site.baseline = resident(daemon.pid)
                yield site
                site.check_answers()
