"""What a real bridge says, held against the document."""

from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from tests.support.caller import Caller, Message
from tests.support.running import Running, running
from tests.support.waiting import wait_until
from zkbridge.asyncapi.document import document
from zkbridge.asyncapi.examples import example_failures, example_request, example_success
from zkbridge.asyncapi.parts import camel
from zkbridge.asyncapi.site import Site
from zkbridge.cli.describe import site_of
from zkbridge.commands import commands
from zkbridge.config.models import Config

COMMANDS = commands()
CREATE = "zk/principal/users/create"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    groups = {"planta": ["principal", "entrada"], "rota": ["principal", "apagada"]}
    more = {"homeassistant": {"discovery": True}, "groups": groups}
    with running(tmp_path_factory.mktemp("bridge"), **more) as all_of_it:
        yield all_of_it


@pytest.fixture(scope="module")
def site(bridge: Running) -> Site:
    return site_of(Config.model_validate(bridge.daemon.config))


@pytest.fixture(scope="module")
def described(site: Site) -> dict[str, Any]:
    return document(site)


@pytest.fixture
def ask(bridge: Running) -> Iterator[Callable[..., Any]]:
    with Caller(bridge.broker.port) as caller:
        caller.subscribe("zk/+/#")

        def publish(topic: str, body: dict[str, str], **more: Any) -> Message:
            caller.publish(topic, body, **more)
            return caller.wait_for(f"{topic}/reply")

        yield publish


def judge(described: dict[str, Any], message: Message, command: str = "users/create") -> str:
    """The message's payload and headers, held against the message that they should be; its name."""
    reply = message.json
    whole = "groupSuccess" if "results" in reply else camel(command, "success")
    name = whole if reply["success"] else camel(reply["code"])
    schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    jsonschema.Draft7Validator(schema).validate(reply)
    headers = described["components"]["messages"][name]["headers"]
    jsonschema.Draft7Validator(headers).validate(dict(message.user_properties))
    return name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers_as_described(ask: Callable[..., Any], described: dict[str, Any], name: str) -> None:
    request = {**example_request(COMMANDS[name]), "request_id": f"truth-{name}"}
    if name != "users/create" and "user_id" in request:
        ask(CREATE, {"user_id": request["user_id"], "name": "Juan Perez"})

    said = judge(described, ask(f"zk/principal/{name}", request), name)

    assert said in described["channels"][camel(name, "reply")]["messages"]


def test_a_group_answers_as_described(ask: Callable[..., Any], site: Site, described: dict[str, Any]) -> None:
    everybody = ask("zk/planta/users/create", {"user_id": "600", "name": "x"})
    whole = {"$ref": "#/components/schemas/groupSuccess", "components": described["components"]}
    jsonschema.Draft7Validator(whole).validate(everybody.json)
    for group, user_id, code in (("rota", "601", "partial"), ("planta", "600", "allFailed")):
        said = ask(f"zk/{group}/users/create", {"user_id": user_id, "name": "y"})
        assert judge(described, said) == code
        assert code in described["channels"]["usersCreateReply"]["messages"]
    assert "groupSuccess" in described["channels"]["usersCreateReply"]["messages"]
    assert "groupSuccess" not in described["channels"]["doorUnlockReply"]["messages"]
    assert ask("zk/planta/door/unlock", {}).json["error"] in [
        each["error"] for each in example_failures(site)["forbidden"]
    ]


def test_success_is_the_very_example(ask: Callable[..., Any], site: Site) -> None:
    request = example_request(COMMANDS["users/create"])
    ask("zk/entrada/users/delete", {"user_id": request["user_id"]})  # a copy may have brought this user

    assert ask("zk/entrada/users/create", request).json == {
        **example_success(COMMANDS["users/create"], site),
        "data": {"user_id": "123", "name": "Juan Perez", "device_id": "entrada"},
    }


def test_a_bad_request_and_an_unknown_device_are_the_very_examples(ask: Callable[..., Any], site: Site) -> None:
    failures = example_failures(site)
    wrong = {"user_id": "123", "name": "x", "privilege": 3, "nombre": "x", "request_id": "r-1"}
    whole = example_request(COMMANDS["users/create"])

    assert ask(CREATE, b"").json == failures["body_required"][0]
    assert ask(CREATE, {"request_id": "r-1"}).json in failures["missing_fields"]
    assert ask(CREATE, wrong).json == failures["invalid_field"][0]
    assert ask("zk/bodega/users/create", whole).json == failures["device_not_found"][0]
    assert ask(CREATE, {**whole, "expires_at": "2020-01-01T00:00:00Z"}).json == {
        **failures["expired"][0],
        "error": "La solicitud venció (2020-01-01T00:00:00+00:00) y no se ejecutó.",
    }


def test_a_second_user_and_a_used_id_are_the_very_examples(ask: Callable[..., Any], site: Site) -> None:
    failures = example_failures(site)
    whole = example_request(COMMANDS["users/create"])
    topic = "zk/entrada/users/create"
    ask(topic, {**whole, "request_id": "once"})

    again = ask(topic, {**whole, "request_id": "twice"}).json
    reused = ask(topic, {**whole, "request_id": "once", "name": "Ana"}).json

    assert again == {**failures["user_exists"][0], "request_id": "twice"}
    assert reused["code"] == failures["request_id_reused"][0]["code"]
    assert reused["error"] == failures["request_id_reused"][0]["error"].replace("r-1", "once")


def test_a_terminal_that_is_away_answers_as_described(ask: Callable[..., Any], described: dict[str, Any]) -> None:

    message = ask("zk/apagada/users/create", {"user_id": "1", "name": "x"})

    assert judge(described, message) == "deviceUnreachable"


def test_the_bridges_own_messages_are_as_described(bridge: Running, described: dict[str, Any]) -> None:
    topics = {f"zk/bridge/{name}": f"bridge{name.capitalize()}" for name in ("state", "info")} | {
        "zk/principal/availability": "availability",
        "zk/apagada/availability": "availability",
        "zk/principal/status": "status",
        "zk/apagada/status": "status",
    }

    with Caller(bridge.broker.port) as caller:
        caller.subscribe("zk/bridge/#")
        caller.subscribe("zk/+/availability")
        caller.subscribe("zk/+/status")
        for device in ("principal", "apagada"):
            caller.publish(f"zk/{device}/users/create", {"user_id": "7", "name": "x"})
        for topic, name in topics.items():
            message = caller.wait_for(topic)
            whole = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
            jsonschema.Draft7Validator(whole).validate(message.json)
            assert message.content_type == "application/json"
        wait_until(lambda: {message.topic for message in caller.messages} >= topics.keys())

    info = next(message.json for message in caller.messages if message.topic == "zk/bridge/info")
    assert info["commands"] == list(COMMANDS)
