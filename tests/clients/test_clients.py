"""Clients of other projects, unmodified, against the simulator and the second terminal, as the table tells."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.clients import stand, table, trial
from tests.clients.__main__ import of_folder
from tests.clients.catalogue import CLIENTS, Client, Way
from zkbridge.simulator import SimulatedTerminal

#: Operations that a client gets wrong by itself, whatever the terminal answers, and why.
OWN_FAULTS = {
    "essl-f22-sdk": {"template": "asks for the templates by command 9, where the documents have 7"},
    "zk-attendance-sdk": {"delete user": "calls a method that it does not have"},
    "zk-sdk": {"serial number": "its own model refuses the numbers that pyzk gives it"},
    "zklib": {"punch": "reads three characters of a user_id"},
    "zkteco-js": {"users": "returns nothing that comes in pieces by UDP", "attendance": "the same"},
}
#: The size of a table decides how it is delivered: at once, or in pieces of which these clients ask several together.
LIBRARIES = [client for client in CLIENTS if client.name in ("node-zklib", "zklib-js", "zkteco-js")]
VOLUMES = [(client, way, count) for client in LIBRARIES for way in client.ways for count in (3, 1000)]


def client_id(value: object) -> str:
    return value.name if isinstance(value, Client) else str(value)


@pytest.mark.parametrize("client", CLIENTS, ids=client_id)
def test_the_table_has_the_row_that_a_run_gives(client: Client) -> None:
    row = table.row_of(client)

    assert str(row) in table.written()
    wrong = {name for outcome in (row.tcp, row.udp, row.second) if outcome for name in outcome.wrong}
    assert wrong == set(OWN_FAULTS.get(client.name, {}))


def test_the_table_has_one_row_for_each_client_in_the_order_of_the_catalogue() -> None:
    names = [line.split("|")[1].strip() for line in table.written().splitlines()]

    assert names == [f"{client.name} {client.version}" for client in CLIENTS]


@pytest.mark.parametrize(("client", "way", "count"), VOLUMES, ids=client_id)
def test_clients_for_node_read_small_and_large_tables(client: Client, way: Way, count: int) -> None:
    with stand.simulated(client, way) as place:
        if way == "udp" and count < 10:
            # They read what comes at once by UDP as 8-byte records with the time in the second half.
            assert isinstance(place.terminal, SimulatedTerminal)
            place.terminal.switches.attendance = "8b"
        place.fill(count, count)
        results = trial.run(client, place, way)
        faults = trial.faults(results, place, users=count, punches=count)

    known = OWN_FAULTS.get(client.name, {}) if way == "udp" and count > 10 else {}
    assert {name: fault for name, fault in faults.items() if name not in known} == {}
    assert known.keys() - faults.keys() == set()


def test_a_client_that_does_nothing_right_is_seen() -> None:
    """The judgement looks at the terminal, and takes no client's word."""
    client = CLIENTS[0]
    boasted = ("write user", "delete user", "unlock", "enrol", "disable", "set the clock")
    with stand.simulated(client, "tcp") as place:
        place.fill(3, 3)
        faults = trial.faults(
            {
                **{name: {"value": True} for name in boasted},
                "users": {"value": {"count": 2, "uid": 3, "user_id": "1003", "name": "U 3"}},
                "clock": {"value": datetime(2001, 1, 1).isoformat()},  # noqa: DTZ001  a terminal knows no zone
                "punch": {"value": {}},
                "sizes": {"error": "no answer"},
                "serial number": {"value": place.option("~SerialNumber")},
            },
            place,
            users=3,
            punches=3,
        )

    assert set(faults) == {*boasted, "users", "clock", "punch", "sizes"}


@pytest.mark.parametrize("path", ["pyzk", "go=/", "pyzk=/nowhere"])
def test_a_path_that_names_no_client_is_refused(path: str) -> None:
    with pytest.raises(Exception, match="is not FAMILY=FOLDER"):
        of_folder(path)
