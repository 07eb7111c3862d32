"""Correlation, and where the reply goes: Response Topic, Correlation Data, request_id, languages."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto, program
from zkbridge.simulator import Simulator, TerminalConfig

COMMAND = "zk/principal/users/create"
REPLY = f"{COMMAND}/reply"
JUAN = '{"user_id":"123","name":"Juan Perez","password":"1234","privilege":0,"card":12345}'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[tuple[Daemon, Caller]]:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        folder = tmp_path_factory.mktemp("envelope") / "d"
        daemon = Daemon(folder, shared_broker.port, {"principal": device(terminal)})
        with daemon, Caller(shared_broker.port, 5) as caller:
            caller.subscribe("zk/#")
            caller.subscribe("other/#")
            yield daemon, caller


@pytest.fixture
def caller(site: tuple[Daemon, Caller]) -> Caller:
    return site[1]


def test_mosquitto_rr_prints_the_contracts_reply(tmp_path: Path) -> None:
    with Simulator() as simulator, Mosquitto(tmp_path / "m") as broker:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        with Daemon(tmp_path / "rr", broker.port, {"principal": device(terminal)}):
            arguments = ["-p", broker.port, "-V", "mqttv5", "-t", COMMAND, "-e", "zk/replies/me", "-m", JUAN, "-W", 20]
            said = subprocess.run(
                [program("mosquitto_rr"), *map(str, arguments)], capture_output=True, check=True, timeout=60
            )

        assert said.stdout.decode() == (
            '{"success":true,"message":"Usuario registrado.",'
            '"data":{"user_id":"123","name":"Juan Perez","device_id":"principal"},"status":200,"code":"created"}\n'
        )
        (user,) = terminal.users()
        assert (user.uid, user.user_id, user.name, user.password, user.privilege, user.card, user.group) == (
            1,
            "123",
            "Juan Perez",
            "1234",
            0,
            12345,
            1,
        )  # fmt: skip - one comparison
        wait_for_session_end(terminal)


def test_correlation_data_comes_back_byte_for_byte_even_for_rubbish(caller: Caller) -> None:
    payloads: list[str | bytes] = [JUAN, b"\xff\xfe", b"", b"{}"]
    for number, payload in enumerate(payloads):
        token = bytes(range(256)) + bytes([number])
        caller.publish(COMMAND, payload, response_topic="zk/replies/me", correlation_data=token)
        answer = caller.wait_for("zk/replies/me")
        assert answer.correlation_data == token
        assert answer.content_type == "application/json"
        assert answer.payload_format == 1
        assert dict(answer.user_properties) == {
            "status": str(answer.json["status"]),
            "code": answer.json["code"],
            "command": "users/create",
        }
        assert (answer.qos, answer.retain) == (1, False)


def test_an_allowed_response_topic_replaces_the_default(caller: Caller) -> None:
    before = len(caller.messages)
    for topic in ("zk/replies/a/b", "zk/principal/replies/a"):
        caller.publish(COMMAND, b"{}", response_topic=topic)
        assert "response_topic_refused" not in caller.wait_for(topic).json
    assert not [m for m in caller.messages[before:] if m.topic == REPLY]


@pytest.mark.parametrize(
    "topic",
    [
        COMMAND,
        "zk/entrada/users/create",
        "zk/entrada/x",
        "other/x",
        "zk/bridge/state",
        "zk/bridge/info",
        "zk/principal/availability",
        "zk/principal/attendance/event",
        "$SYS/x",
        "zk/replies/",
        "zkreplies/x",
        "zk",
        "zk/replies/" + "x" * 501,
    ],
)  # fmt: skip - a list of topics reads best as one
def test_a_hostile_response_topic_is_not_used(caller: Caller, topic: str) -> None:
    allowed = topic.startswith("zk/replies/")
    before = len(caller.messages)
    caller.publish(COMMAND, b"{}", response_topic=topic)

    answer = caller.wait_for(topic if allowed else REPLY)

    assert answer.json.get("response_topic_refused", False) is not allowed
    if not allowed:
        mine = [m for m in caller.messages[before:] if m.topic == topic and m.json.get("code")]
        assert mine == []


def test_a_command_topic_as_response_topic_starts_no_loop(site: tuple[Daemon, Caller]) -> None:
    daemon, caller = site
    lines = daemon.log.count("command=users/create")
    caller.publish(COMMAND, b"{}", response_topic=COMMAND)
    caller.wait_for(REPLY)
    caller.publish(COMMAND, b"[]")
    caller.wait_for(REPLY)

    assert daemon.log.count("command=users/create") == lines + 2


def test_replies_in_english(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        daemon = Daemon(
            tmp_path / "english",
            shared_broker.port,
            {"principal": device(terminal)},
            language="en",
            mqtt={"base_topic": "site/zk-en"},
        )  # fmt: skip - one call
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe("site/zk-en/#")

            def ask(payload: str | bytes, to: str = "principal") -> dict[str, Any]:
                caller.publish(f"site/zk-en/{to}/users/create", payload)
                return caller.wait_for(f"site/zk-en/{to}/users/create/reply").json

            created, exists = ask(JUAN), ask(JUAN)
            said = [ask(b"")["error"], ask(b"{}")["error"], ask(JUAN, "bodega")["error"]]

    assert created["message"] == "User registered."
    assert exists["error"] == "user_id '123' already exists."
    assert said == ["JSON body required.", "user_id and name are required.", "Device 'bodega' not found."]


def test_copies_of_one_request_at_once_are_executed_once(site: tuple[Daemon, Caller]) -> None:
    daemon, caller = site
    body = json.dumps({"user_id": "777", "name": "Una Vez", "request_id": "burst"})
    for number in range(20):
        caller.publish(COMMAND, body, response_topic=f"zk/replies/burst/{number}", correlation_data=b"%d" % number)
    answers = [caller.wait_for(f"zk/replies/burst/{number}") for number in range(20)]

    assert [answer.correlation_data for answer in answers] == [b"%d" % number for number in range(20)]
    assert [answer.json.pop("replayed", False) for answer in answers].count(True) == 19
    assert {answer.json["code"] for answer in answers} == {"created"}
    assert daemon.running


def test_unknown_fields_are_ignored_when_not_strict(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        daemon = Daemon(
            tmp_path / "lenient",
            shared_broker.port,
            {"principal": device(terminal)},
            strict=False,
            mqtt={"base_topic": "zk-lenient"},
        )  # fmt: skip - one call
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe("zk-lenient/#")
            caller.publish("zk-lenient/principal/users/create", '{"user_id":"1","name":"A","department":"x"}')
            assert caller.wait_for("zk-lenient/principal/users/create/reply").json["success"]


def test_a_name_is_cut_at_a_character_where_that_is_asked_for(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        cut = device(terminal, name_overflow="truncate")
        daemon = Daemon(tmp_path / "cut", shared_broker.port, {"p": cut}, mqtt={"base_topic": "zk-cut"})
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe("zk-cut/#")
            caller.publish("zk-cut/p/users/create", {"user_id": "1", "name": "x" + "ñ" * 20})
            answer = caller.wait_for("zk-cut/p/users/create/reply").json

        assert answer["data"]["name"] == "x" + "ñ" * 11
        assert [user.name for user in terminal.users()] == [answer["data"]["name"]]
