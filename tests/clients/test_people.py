"""What the bridge writes with lists, copies, blocks and restores, as clients of other projects read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.clients import trial
from tests.clients.catalogue import CLIENTS, Client, Way
from tests.clients.stand import KEY, Stand
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.paced_relay import PacedRelay
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

#: Templates as terminals make them, ended by no zero: pyzk cuts zeros off.
THUMB, INDEX = b"M\xfdSS21" + bytes(range(1, 256)), b"M\xfdSS21" + bytes(range(255, 0, -1)) * 3
ROWS: list[dict[str, Any]] = [
    {"user_id": "1001", "name": "Ana", "password": "2468", "card": 5551234},
    {"user_id": "1002", "name": "Luis", "privilege": 14},
    {"user_id": "1003", "name": "Eva", "card": 4294967295},
]
ALL = [row["user_id"] for row in ROWS]
READERS = {
    "pyzk": "people.py",
    "pyzk-new": "people.py",
    "essl-f22-sdk": "people.py",
    "zkteco-js": "people.cjs",
}
PYZK = ("pyzk", "pyzk-new")
#: `principal` was emptied and restored, the others got everybody by a copy; the last has records of 28 bytes.
KINDS: dict[str, tuple[str, Way]] = {"principal": ("tft", "tcp"), "entrada": ("tft", "tcp"), "patio": ("ma300", "udp")}
CASES = [
    (client, name)
    for client in CLIENTS
    if client.name in READERS
    for name in KINDS
    # The others know no records of 28 bytes.
    if client.name in PYZK or name != "patio"
]


@pytest.fixture(scope="module")
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SimulatedTerminal]]:
    folder = tmp_path_factory.mktemp("people")
    with ExitStack() as stack:
        simulator, broker = stack.enter_context(Simulator()), stack.enter_context(Mosquitto(folder / "broker"))
        made = {
            name: simulator.add(TerminalConfig(profile=profile, transport=way, comm_key=KEY, udp_packet=1024))
            for name, (profile, way) in KINDS.items()
        }
        devices = {
            name: device(terminal, comm_key=KEY, transport=KINDS[name][1], user_id_charset="any")
            for name, terminal in made.items()
        }
        with Daemon(folder / "d", broker.port, devices, covered=False) as daemon, Caller(broker.port) as caller:
            caller.subscribe("zk/+/#")
            _bring_everybody(caller, made["principal"])
            for terminal in made.values():
                wait_for_session_end(terminal)
            assert daemon.running
        yield made


def _bring_everybody(caller: Caller, principal: SimulatedTerminal) -> None:
    def ask(command: str, body: dict[str, Any]) -> None:
        caller.publish(f"zk/principal/{command}", body)
        reply = caller.wait_for(f"zk/principal/{command}/reply", timeout=60).json
        assert reply["success"], reply

    ask("users/create-many", {"users": ROWS})
    wait_for_session_end(principal)
    principal.add_template("1001", 5, THUMB)
    principal.add_template("1001", 6, INDEX, flag=3)
    ask("users/block", {"user_id": "1002"})
    ask("users/copy", {"user_ids": ALL, "to": ["entrada", "patio"]})
    ask("device/backup", {})
    ask("users/delete-many", {"users": [{"user_id": user_id} for user_id in ALL]})
    ask("device/restore", {"apply": True})


@pytest.mark.parametrize(
    ("client", "name"), CASES, ids=lambda value: value.name if isinstance(value, Client) else value
)
def test_all_users_are_read_with_every_field_the_blocking_bit_and_the_fingers(
    terminals: dict[str, SimulatedTerminal], client: Client, name: str
) -> None:
    terminal, way = terminals[name], KINDS[name][1]
    terminal.comm_key = KEY if client.knows_keys else 0
    program: Client = replace(client, program=READERS[client.name])
    with ExitStack() as stack:
        at: SimulatedTerminal | PacedRelay = terminal if way == "udp" else stack.enter_context(PacedRelay(terminal))
        results = trial.run(program, Stand(terminal, at.host, at.port, narrow=False), way)

    people: Any = results["people"]
    read: dict[str, Any] = {person["user_id"]: person for person in people}
    if client.name == "pyzk-new":
        assert all("blocked" in person for person in people)
    assert sorted(read) == ALL
    assert len({person["uid"] for person in read.values()}) == len(ALL)
    for row in ROWS:
        person = read[str(row["user_id"])]
        blocked = row["user_id"] == "1002"
        assert person["name"] == row["name"]
        assert person["password"] == row.get("password", "")
        assert person["card"] == row.get("card", 0)
        assert person["privilege"] == row.get("privilege", 0) | blocked
        assert person.get("blocked", blocked) is blocked
        if client.name in PYZK:
            thumb, index = (hashlib.sha256(each).hexdigest() for each in (THUMB, INDEX))
            assert person["fingers"] == ({"5": [1, thumb], "6": [3, index]} if row["user_id"] == "1001" else {})
