"""The flow for a new employee in a real Node-RED: one form, a finger, and a result for each door."""

import re
from collections.abc import Iterator

import pytest

from tests.node_red.node_red import NodeRed
from tests.node_red.site import Page, Site
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

RETRY = {"attempts": 1, "initial_delay": 0.05, "max_delay": 0.2, "deadline": 15}
DOORS = ("principal", "entrada", "bodega")


@pytest.fixture(scope="module")
def terminals() -> Iterator[dict[str, SimulatedTerminal]]:
    with Simulator() as simulator:
        yield {name: simulator.add(TerminalConfig(profile="tft")) for name in DOORS}


@pytest.fixture(scope="module")
def site(terminals: dict[str, SimulatedTerminal], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("employee")
    devices = {name: device(terminal, timeout=1) for name, terminal in terminals.items()}
    groups = {"puertas": list(DOORS)}
    with (
        Mosquitto(folder / "broker") as broker,
        NodeRed(folder / "node-red", "5", broker.port) as node_red,
        Daemon(folder / "d", broker.port, devices, groups=groups, retry=RETRY, probe_interval=300, covered=False) as d,
    ):
        site = Site(node_red, broker, d, terminals["principal"])
        wait_until(lambda: all(name in site.open("employee").text for name in ("puertas", *DOORS)))
        yield site


def form(site: Site, user_id: str, **values: str) -> dict[str, str]:
    """A fresh page's form, filled in: the finger is the right index."""
    fields = site.open("employee").fields
    return (
        fields
        | {"device": "principal", "to": "puertas", "user_id": user_id, "name": "Ana", "finger_index": "6"}
        | values
    )


def doors(page: Page) -> dict[str, str]:
    """What the page says of each door."""
    return dict(re.findall(r'<tr class="\w*"><td>(\w+)<td>(.*)', page.source))


def fingers(terminal: SimulatedTerminal, user_id: str) -> list[tuple[int, bytes]]:
    """The index and template of each finger of a user."""
    uids = {user.uid for user in terminal.users() if user.user_id == user_id}
    return sorted((index, each.data) for (uid, index), each in terminal.templates().items() if uid in uids)


def test_a_new_employee_gets_a_finger_and_every_door_with_one_form(
    site: Site, terminals: dict[str, SimulatedTerminal]
) -> None:
    principal, entrada, bodega = (terminals[name] for name in DOORS)
    bodega.power_off()
    principal.enrol("good")
    try:
        first = site.send(form(site, "7", card="12345"), "employee")
    finally:
        bodega.power_on()
    second = site.send(first.fields | {"finger_index": "6"}, "employee")
    wait_for_session_end(bodega)

    assert "partly" in first.ids
    assert "User 7 is on principal. The finger is registered." in " ".join(first.text.split())
    assert doors(first)["entrada"] == "ready"
    assert "Connection refused" in doors(first)["bodega"]
    assert ("done" in second.ids, doors(second)) == (True, {"entrada": "ready", "bodega": "ready"})
    held = fingers(principal, "7")
    assert [index for index, _ in held] == [6]
    for door in (entrada, bodega):
        assert fingers(door, "7") == held
        assert [user.card for user in door.users() if user.user_id == "7"] == [12345]


def test_a_finger_that_fails_leaves_the_form_and_copies_no_user(
    site: Site, terminals: dict[str, SimulatedTerminal]
) -> None:
    terminals["principal"].enrol("bad")
    first = site.send(form(site, "8"), "employee")
    elsewhere = [user.user_id for user in terminals["entrada"].users()]
    terminals["principal"].enrol("good")
    second = site.send(first.fields | {"finger_index": "6"}, "employee")

    assert "failed" in first.ids
    assert (first.fields["user_id"], first.fields["name"]) == ("8", "Ana")
    assert "8" not in elsewhere
    assert "done" in second.ids
    assert [user.user_id for user in terminals["principal"].users()].count("8") == 1


def test_the_same_form_sent_twice_is_one_employee_and_one_without_a_finger_needs_no_person(
    site: Site, terminals: dict[str, SimulatedTerminal]
) -> None:
    filled = form(site, "9", finger_index="", to="entrada")

    first, second = site.send(filled, "employee"), site.send(filled, "employee")

    assert (doors(first), doors(second)) == ({"entrada": "ready"}, {"entrada": "ready"})
    for name in ("principal", "entrada"):
        assert [user.user_id for user in terminals[name].users()].count("9") == 1


def test_a_user_id_that_is_taken_goes_no_further(site: Site, terminals: dict[str, SimulatedTerminal]) -> None:
    terminals["principal"].add_user("10", "Luis")

    page = site.send(form(site, "10"), "employee")

    assert (page.status, "failed" in page.ids, "user_exists" in page.text) == (409, True, True)
    assert "10" not in [user.user_id for user in terminals["entrada"].users()]
