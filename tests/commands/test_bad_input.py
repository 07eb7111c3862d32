"""Whatever is wrong with a field of a command is told by its name, and nothing is done."""

import pytest

from tests.commands.conftest import said
from zkbridge.commands import commands
from zkbridge.simulator import Command

ODD_ID = [True, 1.5, [], {}, "a\x00b", "x" * 25]
ODD_COUNT = [-1, True, 1.5, "x", "", [], {}, 2**32]
ODD_TIME = ["", "yesterday", "2026-02-30", 20260101, True, [], "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00"]

#: What each command needs for a request that is right, and those that need nothing.
NEED = {
    "users/create": {"user_id": "700", "name": "Ana"},
    "users/update": {"user_id": "700", "card": 1},
    "users/delete": {"user_id": "700"},
    "users/fingers": {"user_id": "700"},
    "users/enroll-finger": {"user_id": "700", "finger_index": 3},
}
NEEDLESS = (
    "attendance/list",
    "door/unlock",
    "info",
    "ping",
    "time/get",
    "time/sync",
    "users/enroll-finger/cancel",
    "users/list",
)

CASES = [
    *[(command, "user_id", odd) for command in NEED for odd in ODD_ID],
    *[("users/enroll-finger", "finger_index", odd) for odd in [-1, 10, "x", True, 1.5, [], {}, "10"]],
    *[("users/enroll-finger", "overwrite", odd) for odd in ["true", "", 1, 0, [], {}]],
    *[("users/enroll-finger", "timeout", odd) for odd in [0, 301, -1, "x", "", True, 1.5, [], {}]],
    *[("users/enroll-finger/cancel", "user_id", odd) for odd in ["", True, [], "a\x00b"]],
    *[("users/enroll-finger/cancel", "finger_index", odd) for odd in [-1, 10, "x", True, [], {}]],
    *[("users/update", "name", odd) for odd in [True, [], {}, " ", "", "a\n", "ñ" * 13]],
    *[("users/update", "password", odd) for odd in [True, 1.5, [], "1\x00", "123456789"]],
    *[("users/update", "privilege", odd) for odd in [1, 13, "x", "", True, -14, []]],
    *[("users/update", "card", odd) for odd in [-1, 2**32, "x", True, 1.5, {}]],
    *[("users/list", "user_id", odd) for odd in ["", True, []]],
    *[("users/list", "name", odd) for odd in ["", True, []]],
    *[
        (command, field, odd)
        for command in ("users/list", "attendance/list")
        for field in ("offset", "limit")
        for odd in ODD_COUNT
    ],
    *[("attendance/list", field, odd) for field in ("since", "until") for odd in ODD_TIME],
    *[("time/sync", "time", odd) for odd in [*ODD_TIME, "2026-01-01", "1999-12-31T23:59:59", "2100-01-01T00:00:00"]],
    *[("users/list", "limit", 0), ("attendance/list", "user_id", {})],
    *[(command, "nonsense", 1) for command in (*NEED, *NEEDLESS)],
]  # fmt: skip - a table


@pytest.mark.parametrize(("command", "field", "odd"), CASES)
def test_an_odd_field_is_refused_by_name(site, command, field, odd):
    terminal = site.terminals["big-tcp"]
    before = terminal.counts[Command.CONNECT]

    answer = site.ask("big-tcp", command, {**NEED.get(command, {}), field: odd})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert field in {fault["field"] for fault in answer["errors"]}
    assert all(fault["message"] for fault in answer["errors"])
    assert terminal.counts[Command.CONNECT] == before


def test_an_update_of_nothing_is_told_what_could_be_named(site):
    answer = site.ask("big-tcp", "users/update", {"user_id": "700"})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert "name, password, privilege, card" in answer["error"]


def test_an_end_before_the_beginning_is_refused(site):
    answer = site.ask("big-tcp", "attendance/list", {"since": "2026-02-02", "until": "2026-02-01"})

    assert [fault["field"] for fault in answer["errors"]] == ["until"]


def test_the_cases_know_every_command():
    assert {*NEED, *NEEDLESS} == set(commands())


def test_the_sentence_about_a_finger_is_that_of_the_rest_service(site):
    answer = site.ask("big-tcp", "users/enroll-finger", {"user_id": "700", "finger_index": 10, "request_id": "f"})

    assert answer == {
        "success": False,
        "error": said(site, "finger_index debe ser 0-9.", "finger_index must be 0-9."),
        "status": 400,
        "code": "invalid_field",
        "errors": [{"field": "finger_index", "message": said(site, "debe ser 0-9", "must be 0-9")}],
        "request_id": "f",
    }


REQUIRED = {command: commands()[command].required for command in NEED}


@pytest.mark.parametrize("blank", ["", "  ", "\u00a0\u3000", "\t\n"])
@pytest.mark.parametrize(("command", "field"), [(command, field) for command in NEED for field in REQUIRED[command]])
def test_a_blank_required_field_is_answered_as_a_missing_one(site, command, field, blank):
    answer = site.ask("big-tcp", command, {**NEED[command], field: blank})

    names = REQUIRED[command]
    spanish = f"{' y '.join(names)} {'son requeridos' if len(names) > 1 else 'es requerido'}."
    english = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} required."
    assert answer == {
        "success": False,
        "error": said(site, spanish, english),
        "status": 400,
        "code": "missing_fields",
        "errors": [{"field": field, "message": said(site, "no puede estar vacío", "must not be empty")}],
    }


def test_errors_beside_missing_fields_name_every_fault(site):
    answer = site.ask("big-tcp", "users/create", {"user_id": " ", "card": "x", "nombre": "Ana"})

    assert answer["code"] == "missing_fields"
    assert {fault["field"] for fault in answer["errors"]} == {"user_id", "name", "card", "nombre"}


@pytest.mark.parametrize("command", NEED)
def test_an_empty_payload_is_no_request_where_a_field_is_required(site, command):
    assert site.ask("big-tcp", command)["code"] == "body_required"
