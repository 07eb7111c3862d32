"""The command line waited 90 s in vain: it spoke MQTT 5 and the bridge 3.1.1, on a broker that speaks both.

The request was carried out; its reply came on the default topic, without Correlation Data, and was not recognised.

Source: attack on 7bb949d, 2026-11
"""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.caller import Caller as Client
from tests.support.running import Running, running
from zkbridge.client.caller import Caller
from zkbridge.config.models import Mqtt


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("old"), mqtt={"protocol": "3.1.1"}) as all_of_it:
        yield all_of_it


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_the_answer_is_recognised_by_its_request_id(bridge: Running, protocol: str) -> None:
    settings = Mqtt(host="127.0.0.1", port=bridge.broker.port, protocol=protocol)
    with Caller(settings) as caller:
        answer = caller.ask("principal", "ping", {"request_id": f"old-{protocol}"}, timeout=20)

    assert (answer["code"], answer["request_id"]) == ("ok", f"old-{protocol}")


def test_the_commands_work_one_after_the_other(bridge: Running) -> None:
    def ask(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "zkbridge", *arguments, "--config", str(bridge.config), "--wait", "20"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    created = ask("users", "create", "principal", "--user-id", "31", "--name", "Ana")
    listed = ask("users", "list", "principal")
    deleted = ask("users", "delete", "principal", "--user-id", "31")
    nobody = ask("ping", "nobody")

    assert (created[0], listed[0], deleted[0], nobody[0]) == (0, 0, 0, 1)
    assert "Usuario registrado." in created[1]
    assert "Ana" in listed[1]
    assert "Dispositivo 'nobody' no encontrado." in nobody[1]


def test_the_answer_to_another_request_is_not_taken_for_it(bridge: Running) -> None:
    """Another caller's answer, on the same default topic, comes first."""
    settings = Mqtt(host="127.0.0.1", port=bridge.broker.port)
    with Client(bridge.broker.port) as other, Caller(settings) as caller:
        listen = caller.listen

        def listen_and_let_the_other_ask(topics: list[str], *, needed: list[str] | None = None) -> None:
            listen(topics, needed=needed)
            other.subscribe("zk/principal/ping/reply")
            other.publish("zk/principal/ping", {"request_id": "theirs"})
            other.wait_for("zk/principal/ping/reply", timeout=20)

        caller.listen = listen_and_let_the_other_ask  # type: ignore[method-assign]  # the test puts its own in place
        answer = caller.ask("principal", "ping", {"request_id": "mine"}, timeout=20)

    assert answer["request_id"] == "mine"
