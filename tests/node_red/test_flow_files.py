"""The example flows as files: they can be imported, and speak of what the contract has."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.node_red.node_red import FLOWS, LIBRARY
from tests.project.tree import ROOT
from zkbridge.commands import commands
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.topics import Topics, matches

CORE = {
    "tab",
    "mqtt-broker",
    "mqtt in",
    "mqtt out",
    "http in",
    "http response",
    "function",
    "change",
    "switch",
    "template",
    "comment",
}  # fmt: skip - a list of words
TOPICS = Topics()


@pytest.fixture(params=FLOWS)
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def nodes(protocol: str) -> dict[str, dict[str, Any]]:
    return {node["id"]: node for node in json.loads(FLOWS[protocol].read_text())}


def of(nodes: dict[str, dict[Any, Any]], kind: str) -> list[dict[str, Any]]:
    return [node for node in nodes.values() if node["type"] == kind]


def test_it_needs_nothing_but_node_red(nodes: dict[str, dict[str, Any]]) -> None:
    assert {node["type"] for node in nodes.values()} <= CORE


def test_every_wire_leads_to_a_node_of_the_flow(nodes: dict[str, dict[str, Any]]) -> None:
    (tab,) = of(nodes, "tab")
    (broker,) = of(nodes, "mqtt-broker")
    for node in nodes.values():
        if node not in (tab, broker):
            assert node["z"] == tab["id"]
        for wire in (target for output in node.get("wires", []) for target in output):
            assert wire in nodes
        if "broker" in node and node is not broker:
            assert node["broker"] == broker["id"]


def test_it_uses_its_protocol_and_holds_no_secret(nodes: dict[str, dict[str, Any]], protocol: str) -> None:
    (broker,) = of(nodes, "mqtt-broker")

    assert broker["protocolVersion"] == {"5": "5", "3.1.1": "4"}[protocol]
    assert not any("credentials" in node for node in nodes.values())


def test_it_subscribes_to_the_topics_of_the_bridge(nodes: dict[str, dict[str, Any]], protocol: str) -> None:
    spoken = {
        TOPICS.state,
        TOPICS.availability("principal"),
        "zk/replies/node-red" if protocol == "5" else TOPICS.reply("principal", "users/create"),
    }
    wanted = {node["topic"] for node in of(nodes, "mqtt in")}

    assert all(any(matches(wish, topic) for wish in wanted) for topic in spoken)
    assert len(wanted) == len(spoken)


def test_it_asks_at_qos_1_a_command_that_there_is(nodes: dict[str, dict[str, Any]]) -> None:
    (asked,) = {
        match for node in of(nodes, "function") for match in re.findall(r"`zk/\$\{device\}/([a-z/-]+)`", node["func"])
    }
    assert asked in commands()
    for node in (*of(nodes, "mqtt in"), *of(nodes, "mqtt out")):
        assert node["qos"] == "1"
    for node in of(nodes, "mqtt out"):
        assert node["retain"] == "false"


def test_it_branches_by_codes_of_the_contract(nodes: dict[str, dict[str, Any]]) -> None:
    def codes(error: type[BridgeError]) -> set[str]:
        return {getattr(error, "code", "")}.union(*(codes(each) for each in error.__subclasses__()))

    (by_code,) = [node for node in of(nodes, "switch") if node["property"] == "payload.code"]
    asked = {rule["v"] for rule in by_code["rules"] if rule["t"] == "eq"}

    assert asked == {"created", "user_exists"}
    assert asked - {"created"} <= codes(BridgeError)


# -- the library ---------------------------------------------------------------------------------------------------

ACL = (ROOT / "examples/mosquitto/acl").read_text().split("user node-red\n")[1].split("\nuser ")[0].splitlines()
#: Each file's pages and the commands that they ask for; `test_library.py` and `test_employee.py` use each.
PAGES = {
    "users.json": ({"/zkbridge/list", "/zkbridge/delete"}, {"users/list", "users/delete"}),
    "door.json": ({"/zkbridge/door"}, {"door/unlock"}),
    "employee.json": ({"/zkbridge/employee"}, {"users/create", "users/enroll-finger", "users/copy"}),
    "punches.json": ({"/zkbridge/punches", "/zkbridge/punches/data"}, set()),
}


def library(name: str) -> dict[str, dict[str, Any]]:
    (file,) = [each for each in LIBRARY if each.name == name]
    return {node["id"]: node for node in json.loads(file.read_text())}


@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: file.name)
def test_a_file_of_the_library_can_be_imported_and_holds_no_secret(file: Path) -> None:
    nodes = {node["id"]: node for node in json.loads(file.read_text())}
    tabs = {node["id"] for node in of(nodes, "tab")}

    assert {node["type"] for node in nodes.values()} <= CORE
    for node in nodes.values():
        assert "credentials" not in node
        assert node["type"] in {"tab", "mqtt-broker"} or node["z"] in tabs
        assert {target for output in node.get("wires", []) for target in output} <= nodes.keys()
        assert "broker" not in node or node["type"] == "mqtt-broker" or nodes[node["broker"]]["type"] == "mqtt-broker"
        if node["type"] in {"mqtt in", "mqtt out"}:
            assert node["qos"] == "1"
        assert node.get("retain", "false") == "false"


def test_no_two_files_share_a_node_but_the_broker() -> None:
    seen: dict[str, Any] = {}
    for file in (*FLOWS.values(), *LIBRARY):
        for node in json.loads(file.read_text()):
            assert node["id"] not in seen or (node["type"], node) == ("mqtt-broker", seen[node["id"]])
            seen[node["id"]] = node


@pytest.mark.parametrize("name", PAGES)
def test_a_file_of_the_library_has_its_pages_sends_commands_and_gets_their_replies(name: str) -> None:
    nodes, (pages, asked) = library(name), PAGES[name]
    states = {"zk/+/availability", "zk/bridge/state", "zk/bridge/info"}
    listened = {node["topic"] for node in of(nodes, "mqtt in")} - states
    functions = " ".join(node["func"] for node in of(nodes, "function"))

    assert {node["url"] for node in of(nodes, "http in")} == pages
    assert set(re.findall(r"`zk/\$\{device\}/([a-z/-]+)`", functions)) == asked
    assert asked <= commands().keys()
    assert listened == ({f"zk/+/{each}/reply" for each in asked} or {TOPICS.punches("+")})
    for each in asked:
        assert {f"topic write zk/principal/{each}", f"topic read zk/principal/{each}/reply"} <= set(ACL)


def test_all_flows_have_the_same_sentences_for_errors() -> None:
    shared = {
        node["func"]
        for file in (*FLOWS.values(), *(file for file in LIBRARY if file.name in PAGES))
        for node in json.loads(file.read_text())
        if node.get("name") == "in the reader's language"
    }

    assert len(shared) == 1


def test_the_two_variants_differ_in_their_protocol_alone() -> None:
    texts = []
    for protocol, number in (("5", "5"), ("3.1.1", "3")):
        flow = json.loads(FLOWS[protocol].read_text())
        for node in flow:
            if node["name" if node["type"] == "function" else "type"] in {
                "the form becomes a request",
                "one page, one reply",
                "mqtt-broker",
                "tab",
            }:
                for key in ("func", "protocolVersion", "label", "name"):
                    node.pop(key, None)
            if node["type"] == "mqtt in" and node["wires"] == [[f"zkbridge{number}wait"]]:
                del node["topic"]
            node.pop("contentType", None)
        texts.append(json.dumps(flow).replace(f"zkbridge{number}", "zkbridge"))

    assert texts[0] == texts[1]
