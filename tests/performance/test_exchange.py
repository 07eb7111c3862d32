"""What a create asks of a terminal, frame by frame: exact counts, which no slow machine can change."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import QUICK, client_id, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.bridge.bridge import Bridge
from zkbridge.config import loader
from zkbridge.simulator import Command, SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol.deadline import Deadline

REPLY = "zk/principal/users/create/reply"
#: Seconds of a session that no machine is too slow for.
BUDGET = 60
#: Bytes of a piece over TCP and over UDP.
PIECE = {"tcp": 0xFFC0, "udp": 16 * 1024}


@dataclass
class Site:
    """A bridge in this process, its terminal and a caller."""

    bridge: Bridge
    terminal: SimulatedTerminal
    caller: Caller

    def create(self, user_id: str) -> dict[str, Any]:
        """One create; its reply, once the terminal has been left too."""
        self.ask(user_id)
        return self.answers(1)[0]

    def ask(self, *user_ids: str) -> None:
        """Ask for all of them at once."""
        for user_id in user_ids:
            body = {"user_id": user_id, "name": "Ana", "request_id": user_id}
            self.caller._client.publish("zk/principal/users/create", json.dumps(body), 1)

    def answers(self, count: int) -> list[dict[str, Any]]:
        """So many replies, once nobody is busy any more."""
        replies = [self.caller.wait_for(REPLY, timeout=60).json for _ in range(count)]
        self.rest()
        return replies

    def rest(self) -> None:
        """Wait until nobody is busy any more."""
        wait_until(lambda: self.terminal.sessions_open == 0)
        wait_until(lambda: all(worker.is_idle for worker in self.bridge.parts.roster.by_device.values()))
        wait_until(
            lambda: not self.bridge.parts.ledger.replies.unsent(1) and not self.bridge.parts.ledger.enables.devices()
        )

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        """The requests to the terminal by name, the round trips they took, and what else is counted."""
        counts, accepted, trips, ledger = (
            Counter(self.terminal.counts),
            self.terminal.connections_accepted,
            self.terminal.round_trips,
            self.bridge.parts.ledger,
        )
        commits, syncs = ledger.database.commits, ledger.database.syncs
        told: Counter[str] = Counter()
        yield told
        more = Counter(self.terminal.counts) - counts
        told.update({Command(number).name: count for number, count in more.items()})
        told["round trips"] = self.terminal.round_trips - trips
        told["accepts"] = self.terminal.connections_accepted - accepted
        told["commits"] = ledger.database.commits - commits
        told["syncs"] = ledger.database.syncs - syncs


@dataclass(frozen=True)
class Case:
    """One kind of terminal, by one way, with so many users in its table."""

    profile: str
    transport: str
    record: int
    users: int


@pytest.fixture(autouse=True)
def _unscrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is emptied a second after an answer, which on a slow machine is while the next request is counted."""
    monkeypatch.setattr("zkbridge.bridge.dispatch.SCRUB_AFTER_S", 3600.0)


@contextmanager
def make_site(
    folder: Path, broker: Mosquitto, *, profile: str, transport: str, users: int, timeout: float = 10, budget: float = 2
) -> Iterator[Site]:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile=profile, transport="both", user_capacity=60_000))
        terminal.fill_users(users)
        path = folder / "config.yaml"
        config = {
            **QUICK,
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "client_id": client_id(folder)},
            "devices": {"principal": device(terminal, transport=transport, timeout=timeout)},
            "state_dir": str(folder / "state"),
            "lock_dir": str(folder / "locks"),
            "session_budget": budget,
        }
        path.write_text(json.dumps(config))
        bridge = Bridge(loader.load(path, {}))
        bridge.start()
        try:
            assert bridge.online.wait(20)
            with Caller(broker.port) as caller:
                caller.subscribe(REPLY)
                yield Site(bridge, terminal, caller)
        finally:
            bridge.stop()


def plain(pieces: int, *, together: bool) -> Counter[str]:
    """The sequence for a table that comes in so many pieces; none of them where it comes with the first answer."""
    asked = Counter(
        CONNECT=1, DISABLE=1, PREPARE_BUFFER=1, GET_FREE_SIZES=2, USER_WRQ=1, REFRESHDATA=1, ENABLE=1, EXIT=1
    )
    if pieces:
        asked.update(READ_BUFFER=pieces, FREE_DATA=1)
    asked["round trips"] = asked.total() - (pieces - 1 if together and pieces else 0)
    return asked


@pytest.mark.parametrize(
    "case",
    [
        Case("tft", "tcp", 72, 1),
        Case("tft", "tcp", 72, 500),
        Case("tft", "tcp", 72, 10_000),
        Case("tft", "udp", 72, 500),
        Case("bw", "tcp", 28, 500),
        Case("bw", "udp", 28, 1),
        Case("bw", "udp", 28, 2_000),
    ],
    ids=lambda case: f"{case.record}-{case.transport}-{case.users}",
)
def test_a_create_asks_each_question_once(tmp_path: Path, shared_broker: Mosquitto, case: Case) -> None:
    with make_site(tmp_path, shared_broker, profile=case.profile, transport=case.transport, users=case.users) as here:
        here.create("70000")  # what is asked once in a lifetime: the width of a user_id

        with here.counted() as asked:
            reply = here.create("70001")

        size = 4 + case.record * (case.users + 1)
        pieces = 0 if size <= 1024 else -(-size // PIECE[case.transport])
        assert reply["status"] == 200
        assert asked.pop("commits") in (4, 5)  # "the broker has it" and "it is enabled" may share one
        assert asked == plain(pieces, together=case.transport == "tcp") + Counter(accepts=1, syncs=3)


def test_a_burst_shares_one_connection_and_one_refresh(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with make_site(tmp_path, shared_broker, profile="tft", transport="tcp", users=100, budget=BUDGET) as here:
        here.create("70000")
        worker = here.bridge.parts.roster.by_device["principal"]
        names = [str(number) for number in range(80_000, 80_200)]

        with here.counted() as asked:
            address = f"{here.terminal.host}:{here.terminal.port}"
            with hold(address, lock_dir=tmp_path / "locks", deadline=Deadline.after(60)):
                here.ask(*names)
                wait_until(lambda: worker.waiting == len(names), timeout=30)
            replies = here.answers(len(names))

        assert {reply["status"] for reply in replies} == {200}
        assert asked["USER_WRQ"] == len(names)
        for once in ("CONNECT", "DISABLE", "PREPARE_BUFFER", "READ_BUFFER", "REFRESHDATA", "ENABLE", "EXIT", "accepts"):
            assert asked[once] == 1, once
        assert asked["GET_FREE_SIZES"] == 2
        assert asked["round trips"] == len(names) + 10
        assert asked["syncs"] <= len(names) // 10
        assert len(here.terminal.users()) == 301


def test_a_burst_on_a_large_table_takes_as_few_round_trips_as_on_a_small_one(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with make_site(tmp_path, shared_broker, profile="tft", transport="tcp", users=10_000, budget=BUDGET) as here:
        here.create("70000")
        worker = here.bridge.parts.roster.by_device["principal"]
        names = [str(number) for number in range(80_000, 80_050)]

        with here.counted() as asked:
            address = f"{here.terminal.host}:{here.terminal.port}"
            with hold(address, lock_dir=tmp_path / "locks", deadline=Deadline.after(60)):
                here.ask(*names)
                wait_until(lambda: worker.waiting == len(names), timeout=30)
            replies = here.answers(len(names))

        assert {reply["status"] for reply in replies} == {200}
        assert asked["READ_BUFFER"] == 11
        assert asked["round trips"] == len(names) + 10


def test_a_terminal_that_takes_no_second_request_costs_two_attempts_in_its_life(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with make_site(tmp_path, shared_broker, profile="tft", transport="tcp", users=2_000, timeout=1) as here:
        here.terminal.switches.several_requests = "first"
        attempts = []
        for number in range(5):
            with here.counted() as asked:
                reply = here.create(f"8000{number}")
            assert reply["status"] == 200
            attempts.append(asked["accepts"])

        assert attempts == [3, 3, 1, 1, 1]  # the failed one, one to enable the terminal, and the next
        assert '"pieces": "singly"' in (here.bridge.parts.ledger.facts.recall("principal", "terminal") or "")
        assert len(here.terminal.users()) == 2_005


def test_a_reply_does_not_wait_for_the_answer_to_enable(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with make_site(tmp_path, shared_broker, profile="tft", transport="tcp", users=1, timeout=2) as here:
        here.create("70000")
        here.terminal.faults.add(Command.ENABLE, when="after", do="silence")

        with here.counted() as asked:
            here.ask("70001")
            reply = here.caller.wait_for(REPLY).json
            owed = here.bridge.parts.ledger.enables.devices()
            here.rest()

        assert reply["status"] == 200
        assert owed == {"principal"}  # on disk with the answer: a crash now would be followed by an ENABLE
        assert asked["ENABLE"] == 2  # the second on a new connection, as nothing came to the first
        assert asked["accepts"] == 2
        assert not here.terminal.disabled


def test_a_bridge_at_rest_has_its_parts_and_no_thread_a_terminal(tmp_path: Path, shared_broker: Mosquitto) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with make_site(tmp_path, shared_broker, profile="tft", transport="tcp", users=1) as here:
        here.create("70000")

        def parts() -> set[str]:
            names = {thread.name for thread in threading.enumerate()} - before
            return {name for name in names if not name.startswith(("simulator", "paho"))}

        wait_until(lambda: parts() == {"announcer", "mqtt", "outbox", "upkeep"})


def test_the_socket_to_the_broker_sends_at_once(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with make_site(tmp_path, shared_broker, profile="tft", transport="tcp", users=1) as here:
        sock = here.bridge.parts.mqtt._connection.client.socket()

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # type: ignore[attr-defined]  # a real socket


def test_only_a_terminal_that_failed_for_good_waits_for_its_turn(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with make_site(tmp_path, shared_broker, profile="tft", transport="tcp", users=1) as here:
        here.create("70000")
        with here.bridge.parts.shared.failure_gate:  # as if another terminal were just being given up
            here.create("70001")
            here.terminal.power_off()
            here.ask("70002")
            wait_until(lambda: here.bridge.parts.shared.failure_gate._present == 2)
            assert here.bridge.parts.ledger.unfinished()
        reply = here.caller.wait_for(REPLY, timeout=60).json

    assert reply["code"] == "device_unreachable"
