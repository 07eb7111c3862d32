"""A bridge with terminals behind mutating proxies, some that show or tell anything, an honest one; what must hold."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.fuzz.broken import Broken
from tests.fuzz.datagram_proxy import MutatingDatagramProxy
from tests.fuzz.events import Events
from tests.fuzz.proxy import MutatingProxy, Mutation
from tests.fuzz.tables import Table
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.hostile_terminal import LOG, USERS, HostileTerminal, reply, table
from tests.support.memory import MB, peak, reset_peak, resident
from tests.support.waiting import wait_until
from zkbridge.simulator import Command, SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.simulator.wire.frames import Frame, encode_time

BASE = "fuzz"
#: What a terminal may cost.
MEMORY = 32 * MB
#: Seconds for an answer: the deadline of its conversation, as much for settling what was written, and some to spare.
TIMEOUT, DEADLINE = 0.4, 4
ANSWER_S, HONEST_S = 3 * DEADLINE, 3.0
USERS_AT_FIRST, PUNCHES = 60, 120
#: Seconds in which events are heard before a request interrupts the listening.
UNASKED_S = 0.1
#: The word of the sizes that says how many punches there are.
PUNCHES_COUNTED = 8
#: And until a live terminal is listened to again. What its clock shows (zk-protocol, a word of 32 bits).
LISTENS_S, _NINE = 2.0, struct.pack("<I", 838_000_000)
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


class LiveTerminal(HostileTerminal):
    """Answers what a bridge asks before it listens; `registered` while the last connection has asked for events."""

    def __init__(self) -> None:
        self.registered = False
        super().__init__(self._reply_to)

    def _reply_to(self, request: Frame) -> list[Frame] | None:
        if request.command in (Command.CONNECT, Command.REG_EVENT):
            self.registered = request.command == Command.REG_EVENT
        return [reply(request, data=_NINE)] if request.command == Command.GET_TIME else None


@dataclass
class TerminalSite:
    """What the property asks, one request after the other; `sessions` counts connections to the mutated terminal."""

    daemon: Daemon
    caller: Caller
    proxies: dict[str, MutatingProxy | MutatingDatagramProxy]
    simulated: dict[str, SimulatedTerminal]
    shown: HostileTerminal
    live: LiveTerminal
    baseline: int = 0
    asked: list[str] = field(default_factory=list)
    _told: int = 0

    @property
    def sessions(self) -> int:
        """Connections to the terminals behind proxies and to those that show tables and tell events."""
        return sum(each.connections for each in (*self.proxies.values(), self.shown, self.live))

    @property
    def messages(self) -> int:
        """Requests so far."""
        return len(self.asked)

    def ask_mutated(self, command: str, mutations: Sequence[Mutation], device: str = "mutated") -> None:
        """One request to a terminal behind a proxy, whose answers are changed."""
        proxy, simulated = self.proxies[device], self.simulated[device]
        if len(simulated.users()) > MOST_USERS:
            for user in simulated.users():
                simulated.delete_user(user.user_id)
        proxy.mutations = mutations
        user_id = str(100_000 + len(self.asked))
        try:
            answer = self._ask(device, command, user_id)
        finally:
            proxy.mutations = ()
        held = {user.user_id for user in simulated.users()}
        if answer["code"] == "created" and user_id not in held:
            raise Broken(f"created is said of a user whom the terminal does not hold: {answer}")
        # A reply to a write, or its table, may be changed into a plausible lie: then only the terminal is to blame.

    def ask_shown(self, shown: Table) -> None:
        """A list of the terminal that shows this table."""
        shown.put_into(self.shown)
        command = "users/list" if shown.command == USERS else "attendance/list"
        answer = self._ask("shown", command, "")
        if answer["code"] != "ok":
            return
        total, length = answer["total"], min(shown.length, len(shown.records))
        if shown.command == USERS and (total > 65_535 or length not in (total * 72, total * 28)):
            raise Broken(f"{total} users are told of a table of {length} bytes")
        if shown.command != USERS and total > (length // 8 if shown.count is None else shown.count):
            raise Broken(f"{total} punches are told of a log of {length} bytes that counts {shown.count}")

    def tell(self, told: Events) -> None:
        """A live terminal sends these events; a request to it is answered; no punch is made up."""
        topic = f"{BASE}/live/attendance/event"
        told_before = [message.json for message in self.caller.messages if message.topic == topic]
        published = list({punch["id"]: punch for punch in told_before}.values())
        counted = {} if told.more is None else {PUNCHES_COUNTED: max(0, len(published) + told.more)}
        self.live.show({LOG: table(b"".join(map(_logged, published)))}, counted, whole_sizes=told.more is not None)
        self._ask("live", "time/get", "")  # what came before may have ended the connection
        with suppress(AssertionError):  # after many failures it is left alone for a while
            wait_until(lambda: self.live.registered, timeout=LISTENS_S)
        self._told += told.punches
        reset_peak(self.daemon.pid)
        self.live.tell([told.stream])
        time.sleep(UNASKED_S)
        self._ask("live", "time/get", "")
        ids = [message.json["id"] for message in self.caller.messages if message.topic == topic]
        if len(set(ids)) > self._told:
            raise Broken(f"{len(set(ids))} punches are published, and {self._told} at most were told")
        # One that lies about its log may have a punch published again, under the same id.

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
        before = resident(self.daemon.pid)
        reset_peak(self.daemon.pid)
        self.caller.publish(f"{BASE}/{device}/{command}", json.dumps(body).encode())
        answer: dict[str, Any] = self.caller.wait_for(f"{BASE}/{device}/{command}/reply", timeout=ANSWER_S).json
        if answer.get("request_id") != request_id:
            raise Broken(f"the answer to another request: {answer}")
        if answer["code"] not in COMMANDS[command] | FAILURES:
            raise Broken(f"{command} is answered {answer}\n{self.daemon.log[-3000:]}")
        if not self.daemon.running:
            raise Broken(f"the daemon has ended\n{self.daemon.log[-3000:]}")
        self._check_memory(before)
        return answer

    def _check_memory(self, before: int) -> None:
        """One terminal costs so much at most; and what the C library keeps for later, of all six, is no more either."""
        if (most := peak(self.daemon.pid) - max(before, self.baseline)) > MEMORY:
            raise Broken(f"{most // MB} MB for one request")
        if (kept := resident(self.daemon.pid) - self.baseline) > MEMORY:
            raise Broken(f"{kept // MB} MB above the baseline are kept")


def _logged(punch: dict[str, Any]) -> bytes:
    """The record of a punch that was published, as it stands in a log (zk-protocol, 40 bytes)."""
    when = punch["timestamp"] and encode_time(datetime.fromisoformat(punch["timestamp"]))
    user_id = (punch["user_id"] or "").encode()
    return struct.pack("<H24sBIB8x", 1, user_id, punch["status"], when or 0xFFFFFFFF, punch["punch"])


@contextmanager
def terminal_site(folder: Path, broker_port: int) -> Iterator[TerminalSite]:
    """Start it, and stop it."""
    with Simulator() as simulator:
        simulated = {
            name: simulator.add(TerminalConfig(profile=profile))
            for name, profile in (("mutated", "tft"), ("datagrams", "bw"))
        }
        honest = simulator.add(TerminalConfig(profile="tft"))
        for each in simulated.values():
            each.fill_users(USERS_AT_FIRST)
            for n in range(PUNCHES):
                each.punch(each.users()[n % USERS_AT_FIRST].user_id)
        with (
            MutatingProxy(simulated["mutated"].port) as stream,
            MutatingDatagramProxy(simulated["datagrams"].port) as datagrams,
            HostileTerminal() as shown,
            LiveTerminal() as live,
        ):
            quick = {"host": "127.0.0.1", "timeout": TIMEOUT}
            daemon = Daemon(
                folder,
                broker_port,
                {
                    "mutated": quick | {"port": stream.port},
                    "datagrams": quick | {"port": datagrams.port, "transport": "udp"},
                    "live": quick | {"port": live.port, "attendance": "live"},
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
                proxies: dict[str, MutatingProxy | MutatingDatagramProxy] = {"mutated": stream, "datagrams": datagrams}
                site = TerminalSite(daemon, caller, proxies, simulated, shown, live)
                site.baseline = resident(daemon.pid)
                for name in proxies:
                    for command in COMMANDS:  # what is loaded at the first request is loaded now
                        site.ask_mutated(command, (), name)
                site.baseline = resident(daemon.pid)
                yield site
                site.check_answers()
