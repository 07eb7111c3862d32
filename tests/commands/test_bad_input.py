"""Whatever is wrong with a field of a command is told by its name, and nothing is done."""

import json
from typing import Any, get_args

import pytest
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from tests.commands.conftest import Site, said
from tests.commands.test_port_of_lists import DEVICE
from zkbridge.asyncapi.examples import example_request
from zkbridge.commands import commands
from zkbridge.contract.errors import BridgeError, InvalidField
from zkbridge.contract.messages import encode, failed, parse_object
from zkbridge.contract.texts import Language
from zkbridge.simulator import Command

LANGUAGES = get_args(Language)

ODD_ID = [True, 1.5, [], {}, "a\x00b", "x" * 25]
ODD_COUNT = [-1, True, 1.5, "x", "", [], {}, 2**32]
ODD_TIME = ["", "yesterday", "2026-02-30", 20260101, True, [], "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00"]

#: Values that no field of a kind takes, by the function that reads the kind.
ODD_BY_READER = {
    "_new_user_id": ODD_ID,
    "_targets": [[], [7], ["a/b"], ["big-udp", "big-udp"], "big-udp,", {}, 5, ["big-udp"] * 101],
    "_backup_name": ["../ledger", 7, [], "2030-01-31T08-00-00Z/", "2030-01-31T08-00-00Z\n"],
    "_user_ids": [[], [[]], ["7", 7], "7,,8", {}, 5, [str(number) for number in range(101)]],
    "known_user_id": [True, 1.5, [], {}, "a\x00b"],
    "_name": [True, [], {}, "a\n"],
    "_written_name": [True, [], {}],
    "_password": [True, 1.5, [], "1\x00"],
    "_privilege": [1, 13, "x", "", True, -14, []],
    "_card": [-1, 2**32, "x", True, 1.5, {}],
    "_offset": ODD_COUNT,
    "_limit": [0, *ODD_COUNT],
    "_door_seconds": [0, 61, True, "x", []],
    "_enrolment_seconds": [0, 301, -1, "x", "", True, 1.5, [], {}],
    "_finger_index": [-1, 10, "x", True, 1.5, [], {}, "10"],
    "_boolean": ["true", "", 1, 0, [], {}],
    "_local_time": ODD_TIME,
    "_local_moment": [*ODD_TIME, "2026-01-01", "1999-12-31T23:59:59", "2100-01-01T00:00:00"],
    "_valid_moment": [*ODD_TIME[1:], "2026-01-01", "1999-12-31T23:59:59", "2100-01-01T00:00:00"],
    "_rows": [[], {}, "x", 1, True, [{}] * 5001],
    "_request_id": [1, "", "\n", "x" * 129],
    "_language": ["de", "EN", "", "es ", 1, True, [], {}],
    "check": ["x", "", 1, True, [], {}],  # one of several words
    "<lambda>": [-1, 101, True, 1.5, "x", [], {}],  # delete_limit
    "_instant": ["", "soon", 5, "2026-01-01T00:00:00"],
}


def reader(field: FieldInfo) -> str:
    """The name of the function that reads a field; one that may be absent has it a level deeper."""
    inner = [each for each in get_args(field.annotation) if each is not type(None)]
    metadata = field.metadata or getattr(inner[0], "__metadata__", [])
    return next(each.func.__name__ for each in metadata if isinstance(each, BeforeValidator))


FIELDS = [
    (name, field, reader(info)) for name, c in commands().items() for field, info in c.params.model_fields.items()
]

CASES = [
    *[(command, field, odd) for command, field, read in FIELDS for odd in ODD_BY_READER.get(read, [])],
    *[("users/update", "name", odd) for odd in [" ", "", "ñ" * 13]],
    *[("users/update", "password", "123456789"), ("users/list", "user_id", ""), ("users/list", "name", "")],
    *[(command, "nonsense", 1) for command in commands()],
]  # fmt: skip - a table


def request_for(command: str) -> dict[str, Any]:
    """A request that is right: every field of the command, for user 700."""
    if not commands()[command].required:
        return {}
    example = example_request(commands()[command])
    fields = {name: value for name, value in example.items() if name != "request_id"}
    return fields | ({"user_id": "700"} if "user_id" in fields else {})


#: One case for each reader, and one of each that no reader refuses: the bridge answers them without a terminal.
ASKED = [
    *{read: (command, field, odd[0]) for command, field, read in FIELDS for odd in [ODD_BY_READER[read]]}.values(),
    ("users/update", "name", " "),
    ("users/update", "password", "123456789"),
    ("users/list", "user_id", ""),
    ("users/list", "nonsense", 1),
]


def take(command: str, body: dict[str, Any]) -> None:
    """Read a body as intake does. Raises what is answered instead."""
    params = commands()[command].parse(parse_object(encode(body)), strict=True)
    if faults := params.surely_wrong(DEVICE):
        raise InvalidField(*faults)


def refused(command: str, body: dict[str, Any], language: Language) -> dict[str, Any]:
    """The answer to a body that the command does not take, or that cannot be meant for any terminal as configured."""
    with pytest.raises(BridgeError) as raised:
        take(command, body)
    answer: dict[str, Any] = json.loads(failed(raised.value, language).body)
    return answer


def assert_names(answer: dict[str, Any], field: str) -> None:
    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert field in {fault["field"] for fault in answer["errors"]}
    assert all(fault["message"] for fault in answer["errors"])


@pytest.mark.parametrize(("command", "field", "odd"), CASES)
def test_an_odd_field_is_refused_by_name(command: str, field: str, odd: object) -> None:
    body = {**request_for(command), field: odd}

    for language in LANGUAGES:
        assert_names(refused(command, body, language), field)


@pytest.mark.parametrize(("command", "field", "odd"), ASKED)
def test_the_bridge_asks_no_terminal_about_an_odd_field(site: Site, command: str, field: str, odd: object) -> None:
    terminal = site.terminals["big-tcp"]
    before = terminal.counts[Command.CONNECT]

    assert_names(site.ask("big-tcp", command, {**request_for(command), field: odd}), field)

    assert terminal.counts[Command.CONNECT] == before


def test_an_update_of_nothing_is_refused_with_the_fields_that_it_may_have(site: Site) -> None:
    answer = site.ask("big-tcp", "users/update", {"user_id": "700"})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert "name, password, privilege, card" in answer["error"]


def test_an_end_before_the_beginning_is_refused(site: Site) -> None:
    answer = site.ask("big-tcp", "attendance/list", {"since": "2026-02-02", "until": "2026-02-01"})

    assert [fault["field"] for fault in answer["errors"]] == ["until"]


def test_every_kind_of_field_has_odd_values() -> None:
    assert {read for _, _, read in FIELDS} == set(ODD_BY_READER)


def test_the_sentence_about_a_finger_is_that_of_the_rest_service(site: Site) -> None:
    answer = site.ask("big-tcp", "users/enroll-finger", {"user_id": "700", "finger_index": 10, "request_id": "f"})

    assert answer == {
        "success": False,
        "error": said(site, "finger_index debe ser 0-9.", "finger_index must be 0-9."),
        "status": 400,
        "code": "invalid_field",
        "errors": [{"field": "finger_index", "message": said(site, "debe ser 0-9", "must be 0-9")}],
        "request_id": "f",
    }


REQUIRED = {name: command.required for name, command in commands().items() if command.required}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("blank", ["", "  ", "\u00a0\u3000", "\t\n"])
@pytest.mark.parametrize(
    ("command", "field"), [(command, field) for command in REQUIRED for field in REQUIRED[command]]
)
def test_a_blank_required_field_is_answered_as_a_missing_one(
    command: str, field: str, blank: str, language: Language
) -> None:
    answer = refused(command, {**request_for(command), field: blank}, language)

    names = REQUIRED[command]
    spanish = f"{' y '.join(names)} {'son requeridos' if len(names) > 1 else 'es requerido'}."
    english = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} required."
    assert answer == {
        "success": False,
        "error": spanish if language == "es" else english,
        "status": 400,
        "code": "missing_fields",
        "errors": [{"field": field, "message": "no puede estar vacío" if language == "es" else "must not be empty"}],
    }


def test_errors_beside_missing_fields_name_every_fault(site: Site) -> None:
    answer = site.ask("big-tcp", "users/create", {"user_id": " ", "card": "x", "nombre": "Ana"})

    assert answer["code"] == "missing_fields"
    assert {fault["field"] for fault in answer["errors"]} == {"user_id", "name", "card", "nombre"}


@pytest.mark.parametrize("command", REQUIRED)
def test_an_empty_payload_is_no_request_where_a_field_is_required(site: Site, command: str) -> None:
    assert site.ask("big-tcp", command)["code"] == "body_required"
