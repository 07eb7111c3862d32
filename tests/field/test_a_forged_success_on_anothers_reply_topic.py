"""A caller had the bridge publish a success on another caller's reply topic, and a create looked done that was not.

Source: attack on 7bb949d, 2026-11
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port

CREATE = "forged/p/users/create"
PING = "forged/p/ping"


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Caller]:
    mqtt = {"base_topic": "forged", "response_topics": ["#"]}
    devices = {"p": {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}}
    folder = tmp_path_factory.mktemp("forged") / "d"
    with Daemon(folder, shared_broker.port, devices, mqtt=mqtt, covered=False), Caller(shared_broker.port) as caller:
        caller.subscribe("forged/#")
        yield caller


@pytest.mark.parametrize(
    "topic",
    [
        f"{CREATE}/reply",
        "forged/other/users/create/reply",
        "forged/p/users/enroll-finger/progress",
        "forged/p/availability",
        "forged/p/status",
        "forged/p/attendance/event",
        "forged/bridge/health",
    ],
)
def test_a_reply_never_goes_to_a_topic_that_the_bridge_itself_uses(caller: Caller, topic: str) -> None:
    victim = {"request_id": f"of-another-{topic}"}
    caller.publish(PING, {"user_id": 1, **victim}, response_topic=topic, correlation_data=b"theirs")

    answer = caller.wait_for(f"{PING}/reply", lambda message: message.json.get("request_id") == victim["request_id"])

    assert answer.json["response_topic_refused"]
    assert not [m for m in caller.messages if m.topic == topic and m.correlation_data == b"theirs"]


@pytest.mark.parametrize(("command", "payload"), [("ping", b"[]"), ("users/create", b"{}"), ("ping", {"x": 1})])
def test_a_reply_on_a_shared_topic_names_the_command_that_it_answers(
    caller: Caller, command: str, payload: bytes | dict[str, Any]
) -> None:
    caller.publish(f"forged/p/{command}", payload, response_topic="forged/replies/shared", correlation_data=b"c")

    assert dict(caller.wait_for("forged/replies/shared").user_properties)["command"] == command


def test_the_reply_of_the_terminal_names_its_command_too(caller: Caller) -> None:
    caller.publish(PING, {}, response_topic="forged/replies/late")

    answer = caller.wait_for("forged/replies/late", timeout=30)

    assert answer.json["code"] == "device_unreachable"
    assert dict(answer.user_properties)["command"] == "ping"
