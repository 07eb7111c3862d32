"""The bridge executes every command of the contract on every terminal that somebody has reported.

`EXCEPTIONS` names what does not hold on a model, and why: a reply's code other than that of success.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.odd_terminals import Site, odd, running
from tests.support.waiting import wait_until
from tests.terminals.files import reported
from zkbridge.asyncapi.examples import example_request
from zkbridge.commands import commands
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.report import contents, report_file

USER: dict[str, object] = {"user_id": "4711", "name": "Eva"}
LIST: dict[str, object] = {"users": [{"user_id": "4712", "name": "Zoe"}, {"user_id": "4713", "name": "Ana"}]}
FINGER: dict[str, object] = {"user_id": "4711", "finger_index": 4}
DEVICE = {"door": {"enabled": True, "trust_clock": True}, "timezone": "America/Lima"}

#: What is asked, in this order, and the code of the reply.
LIFE: tuple[tuple[str, dict[str, object], str], ...] = (
    ("ping", {}, "ok"),
    ("info", {}, "ok"),
    ("time/get", {}, "ok"),
    ("time/sync", {}, "synchronized"),
    ("users/list", {}, "ok"),
    ("users/create", USER, "created"),
    ("users/update", {"user_id": "4711", "card": 815}, "updated"),
    ("users/block", {"user_id": "4711"}, "blocked"),
    ("users/unblock", {"user_id": "4711"}, "unblocked"),
    ("users/fingers", {"user_id": "4711"}, "ok"),
    ("users/enroll-finger", FINGER, "enrolled"),
    ("users/enroll-finger/cancel", FINGER, "enroll_not_found"),
    ("users/delete-finger", FINGER, "finger_deleted"),
    ("attendance/list", {}, "ok"),
    ("attendance/clear", {}, "cleared"),
    ("door/state", {}, "ok"),
    ("door/unlock", {"seconds": 1}, "unlocked"),
    ("users/create-many", LIST, "created"),
    ("users/update-many", {"users": [{"user_id": "4713", "card": 815}]}, "updated"),
    ("users/delete-many", {"users": [{"user_id": "4712"}, {"user_id": "4713"}]}, "deleted"),
    ("users/delete", {"user_id": "4711"}, "deleted"),
    ("device/restart", {}, "restarting"),
)
#: Commands without a step of their own: their example is asked.
OTHERS = sorted(set(commands()) - {command for command, _fields, _code in LIFE})
#: Report and command with the code that the terminal's own behaviour leads to; `*` is every other command.
EXCEPTIONS = {
    ("example-push", "*"): "device_rejected",  # CONNECT is answered 6001: it speaks push alone
    ("example-push", "users/enroll-finger/cancel"): "enroll_not_found",  # which no terminal is asked for
    **{("example-push", f"users/{verb}-many"): "all_failed" for verb in ("create", "update", "delete")},
}
PATIENCE_S = 10


@pytest.fixture(params=reported(), ids=lambda path: path.stem)
def report(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def site(report: Path, tmp_path: Path, shared_broker: Mosquitto) -> Iterator[Site]:
    """A daemon with the reported terminal, once over each transport that it answers on."""
    transports = contents.transports(report_file.read(report))
    kinds = {way: odd({"profile": str(report), "transport": way}, transport=way, **DEVICE) for way in transports}
    with running(tmp_path, shared_broker, kinds) as site:
        yield site


def test_the_bridge_executes_every_command_on_a_reported_terminal(report: Path, site: Site) -> None:
    for way, terminal in site.terminals.items():
        for command in OTHERS:
            _ask_example(site, way, command, _refusals(report.stem))
        wait_for_session_end(terminal)
        before, total = _people(terminal), 0
        for command, fields, code in LIFE:
            read = {"total": total} if command == "attendance/clear" else {}
            answer = site.ask(way, command, **fields, **read)
            total = answer.get("total", 0)
            assert answer["code"] == _expected(report.stem, command, code), (way, command, answer)
            if command == "users/list" and answer["success"]:
                assert answer["total"] == len(before)
        wait_for_session_end(terminal)
        wait_until(lambda: terminal.powered, timeout=PATIENCE_S)  # noqa: B023 - it is called at once
        assert _people(terminal) == before
        assert not terminal.disabled


def _expected(report: str, command: str, code: str) -> str:
    """The code of the reply."""
    return EXCEPTIONS.get((report, command)) or EXCEPTIONS.get((report, "*")) or code


def _ask_example(site: Site, way: str, command: str, refusals: set[str]) -> None:
    """Ask what the contract has as an example: it succeeds, or is refused as the command or the terminal does it."""
    asked = commands()[command]
    fields = {name: value for name, value in example_request(asked).items() if name != "request_id"}
    answer = site.ask(way, command, **fields)
    alone = {"invalid_field"} if asked.hands_over else set()  # the example's other terminal is not here
    known = {asked.code, *(error.code for error in asked.errors), *refusals, *alone}
    assert answer["code"] in known, (way, command, answer)


def _refusals(report: str) -> set[str]:
    """The codes that this terminal's behaviour leads to."""
    return {code for (name, _command), code in EXCEPTIONS.items() if name == report}


def _people(terminal: SimulatedTerminal) -> list[bytes]:
    return [user.raw for user in terminal.users()]
