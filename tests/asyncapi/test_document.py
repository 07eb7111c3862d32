"""The document that machines read: what its official parser says, and whether it tells the truth."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.support.npm import installed
from zkbridge.asyncapi.document import document
from zkbridge.asyncapi.examples import example_failures, example_request
from zkbridge.asyncapi.site import Site
from zkbridge.cli.describe import site_of
from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.contract.errors import BridgeError, InvalidField, MissingFields
from zkbridge.contract.messages import encode, parse_object
from zkbridge.contract.topics import Topics

ROOT = Path(__file__).parents[2]
PARSER = Path(__file__).with_name("parser")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def printed(*arguments: Any) -> str:
    """What the program says."""
    command = [sys.executable, "-m", "zkbridge", "asyncapi", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, timeout=60, cwd=ROOT).stdout.decode()


def validator(described: dict[str, Any], name: str) -> jsonschema.Draft7Validator:
    """A judge of one of the document's schemas; AsyncAPI's own dialect is JSON Schema draft 7."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    return jsonschema.Draft7Validator(schema)


def judged(text: str) -> dict[str, Any]:
    """What the official parser says of a document."""
    folder = installed(PARSER, "@asyncapi/parser")
    said = subprocess.run(
        ["node", "judge.cjs"], cwd=folder, input=text, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(said.stdout)


def test_the_official_parser_accepts_it() -> None:
    said = judged(printed())

    assert said["accepted"]
    # AsyncAPI 3.1 only adds bindings of other protocols, and fewer tools know it.
    assert [each for each in said["complaints"] if each["code"] != "asyncapi-latest-version"] == []
    assert {"answerUsersCreate", "publishAvailability", "publishBridgeState"} <= set(said["operations"])


def test_the_official_parser_would_refuse_a_broken_one(described: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(described))
    del broken["channels"]["availability"]["messages"]

    assert not judged(json.dumps(broken))["accepted"]


def test_yaml_and_json_have_the_same_contents(described: dict[str, Any]) -> None:
    assert YAML(typ="safe").load(printed()) == json.loads(printed("--format", "json")) == described


def test_every_example_fits_its_schema(described: dict[str, Any]) -> None:
    seen = 0
    for name, message in described["components"]["messages"].items():
        assert message["examples"], name
        for example in message["examples"]:
            validator(described, name).validate(example["payload"])
            if "headers" in message:
                jsonschema.Draft7Validator(message["headers"]).validate(example["headers"])
            seen += 1
    assert seen > 20


def test_every_schema_is_a_schema(described: dict[str, Any]) -> None:
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)


def test_every_command_has_a_topic_a_reply_and_what_it_answers(described: dict[str, Any]) -> None:
    topics = Topics()
    addresses = {channel["address"] for channel in described["channels"].values()}

    for name in commands():
        assert topics.command("{device}", name) in addresses
        assert topics.reply("{device}", name) in addresses
    for name, schema in described["components"]["schemas"].items():
        if name.endswith("Success"):
            assert {"data", "message"} & set(schema["properties"]), (
                f"{name}: say in contract/answers.py what it answers"
            )


def test_every_code_and_every_sentence_is_there() -> None:
    def below(kind: type[BridgeError]) -> set[Any]:
        return {kind.code} | {code for each in kind.__subclasses__() for code in below(each)}

    found = example_failures(Site())

    assert set(found) == below(BridgeError)
    assert {each["error"] for each in found["busy"]} == {
        "Hay 1000 solicitudes en espera para 'bodega'; intente de nuevo en 10 s.",
        "El puente se está deteniendo; intente de nuevo en 10 s.",
    }
    assert found["user_exists"][0] == {
        "success": False,
        "error": "user_id '123' ya existe.",
        "status": 409,
        "code": "user_exists",
        "request_id": "r-1",
    }


@pytest.mark.parametrize("name", commands())
def test_the_example_request_is_one_that_the_command_takes(name: str) -> None:
    command = commands()[name]

    params = command.parse(parse_object(encode(example_request(command))), strict=True)

    assert params.request_id == "r-1"


VALUES = [
    None,
    "",
    "123",
    "0",
    "14",
    "  7 ",
    " ",
    "x",
    "a\u0000b",
    0,
    1,
    3,
    14,
    99,
    -1,
    2**32,
    2**40,
    1.5,
    True,
    [],
    {},
]
VALUES += ["2030-01-31T08:00:00+00:00", "2030-01-31T08:00:00", "2030-01-31", "mañana", "x" * 200]


@pytest.mark.parametrize("name", commands())
def test_whatever_the_command_takes_the_schema_takes(described: dict[str, Any], name: str) -> None:
    """A schema that is stricter than the bridge would turn away what works; it may be looser."""
    command = commands()[name]
    judge = validator(described, next(iter(request_names(described, name))))
    whole = example_request(command)
    taken = 0
    for field in command.params.model_fields:
        for value in VALUES:
            body = {**whole, field: value}
            try:
                command.parse(parse_object(encode(body)), strict=True)
            except (InvalidField, MissingFields):
                continue
            # Spaces round a number are forgiven without being offered.
            if isinstance(value, str) and value != value.strip():
                continue
            judge.validate(body)
            taken += 1
    assert taken > len(command.params.model_fields)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Juan Perez"},
        {"user_id": "123"},
        {"user_id": True, "name": "x"},
        {"user_id": "1", "name": ["x"]},
        {"user_id": "1", "name": "x", "privilege": 3},
        {"user_id": "1", "name": "x", "card": 2**32},
        {"user_id": "1", "name": "x", "card": "no"},
        {"user_id": "1", "name": "x", "privilegio": 0},
        {"user_id": "1", "name": "x", "request_id": "x" * 129},
    ],
)
def test_the_schema_of_users_create_turns_away_what_the_bridge_refuses(
    described: dict[str, Any], wrong: dict[str, Any]
) -> None:
    with pytest.raises((InvalidField, MissingFields)):
        commands()["users/create"].parse(wrong, strict=True)

    assert not validator(described, "usersCreateRequest").is_valid(wrong)


def test_a_configuration_makes_it_the_description_of_one_bridge(tmp_path: Path) -> None:
    config = {
        "mqtt": {"host": "broker.lan", "base_topic": "planta/zk", "tls": {}},
        "devices": {"norte": {"host": "192.0.2.1"}, "sur": {"host": "192.0.2.2"}},
        "language": "en",
        "policy": {"commands": ["users/create"]},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))

    made = json.loads(printed("--format", "json", "--config", tmp_path / "config.yaml"))

    assert made == document(site_of(Config.model_validate(config)))
    assert made["servers"]["broker"]["host"] == "broker.lan:8883"
    assert made["servers"]["broker"]["protocol"] == "secure-mqtt"
    assert made["channels"]["usersCreate"]["address"] == "planta/zk/{device}/users/create"
    assert made["channels"]["usersCreate"]["parameters"]["device"]["enum"] == ["norte", "sur"]
    assert [name for name in made["operations"] if name.startswith("answer")] == ["answerUsersCreate"]
    example = made["components"]["messages"]["deviceNotFound"]["examples"][0]["payload"]
    assert example["error"] == "Device 'bodega' not found."
    assert example["disponibles"] == ["norte", "sur"]
    assert judged(json.dumps(made))["accepted"]


def test_a_wrong_configuration_is_reported() -> None:
    command = [sys.executable, "-m", "zkbridge", "asyncapi", "--config", "/nowhere.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (2, "")
    assert "/nowhere.yaml: cannot be read" in done.stderr


def request_names(described: dict[str, Any], name: str) -> dict[str, Any]:
    """The message that a command's topic takes."""
    address = Topics().command("{device}", name)
    return next(each["messages"] for each in described["channels"].values() if each["address"] == address)
