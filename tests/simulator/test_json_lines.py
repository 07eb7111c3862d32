"""`simulate --json`: where the terminals listen and what happens, for programs."""

from __future__ import annotations

import json
import socket
from subprocess import Popen
from typing import Any

import pytest
from click.testing import CliRunner

from tests.project.tree import ROOT
from tests.simulator.process import Place, running
from tests.simulator.raw import RawClient, user_72
from tests.support.waiting import patience
from zkbridge.simulator.console.cli import simulate
from zkbridge.simulator.device import profile, switches
from zkbridge.simulator.network import faults


def place_of(event: dict[str, Any]) -> Place:
    """Where an event says that a terminal listens."""
    return Place(event["host"], event["port"])


def until(process: Popen[str], **wanted: object) -> list[dict[str, Any]]:
    """The events up to the first one that has these facts."""
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    for line in process.stdout:
        events.append(json.loads(line))
        assert list(events[-1])[:2] == ["at", "event"]
        if wanted.items() <= events[-1].items():
            return events
    raise AssertionError(f"ended without {wanted}: {events}")


def do(port: int, **request: object) -> Any:
    """Ask the control port, and return its result."""
    with socket.create_connection(("127.0.0.1", port)) as link, link.makefile("rw") as lines:
        print(json.dumps(request), file=lines, flush=True)
        answer = json.loads(lines.readline())
    assert answer["ok"], answer
    return answer["result"]


def documented() -> list[dict[str, Any]]:
    """The events that docs/simulator.md shows."""
    page = (ROOT / "docs" / "simulator.md").read_text()
    return [json.loads(line) for line in page.splitlines() if line.startswith('{"at": ')]


def test_a_program_reads_the_address_and_the_events_of_each_terminal() -> None:
    with running("--json", "--count", "2", "--control", "0") as process:
        first, second, control, ready = until(process, event="ready")
        with RawClient(place_of(second)) as client:
            client.connect()
            client.ask(8, user_72(1, "1001", b"Ana", b"secretpw"))
        *_, written = until(process, event="news")
        do(control["port"], do="move", terminal=1)
        *_, moved = until(process, text="power on")
        do(control["port"], do="punch", terminal=moved["port"], user_id="1001")
        process.terminate()
        rest, errors = process.communicate(timeout=patience(20))

    assert [set(event) for event in documented()] == [set(first), set(ready)]
    assert ready["terminals"] == 2
    assert (first["event"], first["terminal"], first["profile"]) == ("terminal", 0, "tft")
    assert (second["terminal"], second["transports"]) == (1, ["tcp", "udp"])
    assert first["serial"] != second["serial"]
    assert (written["terminal"], written["port"]) == (1, second["port"])
    assert written["text"] == "user 1001 written as uid 1"
    assert moved["terminal"] == 1
    assert moved["port"] != second["port"]
    assert "says: Thank you" in {json.loads(line).get("text") for line in rest.splitlines()}
    assert "secretpw" not in rest
    assert "Ana" not in rest
    assert (process.returncode, errors) == (0, "")


def test_each_frame_is_an_event_without_its_contents() -> None:
    with running("--json", "--frames", "--transport", "tcp") as process:
        place, _ready = until(process, event="ready")
        with RawClient(place_of(place)) as client:
            client.connect()
            client.ask(8, user_72(1, "1001", b"Ana", b"secretpw"))
        *_, frame = until(process, event="frame", command="USER_WRQ")

    assert place["transports"] == ["tcp"]
    about = {"terminal": 0, "host": place["host"], "port": place["port"], "connection": 1, "direction": "in"}
    assert frame == {"at": frame["at"], "event": "frame", **about, "command": "USER_WRQ", "bytes": 72}


def test_it_ends_when_the_reader_has_gone() -> None:
    with running("--json") as process:
        place, _ready = until(process, event="ready")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        with RawClient(place_of(place)) as client:
            client.connect()
            client.ask(8, user_72(1, "1001"))

        assert process.wait(patience(20)) == 0
        assert process.stderr.read() == ""


def test_the_list_is_one_object() -> None:
    listed = json.loads(CliRunner().invoke(simulate, ["--list", "--json"]).stdout)

    assert [each["name"] for each in listed["profiles"]] == list(profile.available())
    assert [each["name"] for each in listed["switches"]] == list(switches.names())
    assert [each["name"] for each in listed["faults"]] == list(faults.ACTIONS)
    assert next(each for each in listed["switches"] if each["name"] == "latency")["default"] == 0.0


def test_json_and_screen_exclude_each_other() -> None:
    ended = CliRunner().invoke(simulate, ["--json", "--screen"])

    assert ended.exit_code == 2
    assert "choose one" in ended.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_control_port_that_is_taken_is_reported_in_one_line(options: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = CliRunner().invoke(simulate, ["--port", "0", "--control", str(port), *options])

    assert ended.exit_code == 1
    assert ended.stderr == f"Error: --control: 127.0.0.1:{port}: Address already in use\n"
    assert ended.stdout == ""
