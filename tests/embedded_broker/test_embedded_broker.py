"""The demonstration's broker, asked by real clients."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.caller import Caller
from tests.support.mosquitto import program
from tests.support.waiting import wait_until
from zkbridge.demo import broker as embedded_broker
from zkbridge.demo.broker import BrokerUnavailable, EmbeddedBroker


@pytest.fixture(scope="module", params=["iotcore", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(prefer=request.param) as embedded:
        assert embedded.kind == request.param
        yield embedded


def client(name: str, broker: EmbeddedBroker) -> list[str]:
    return [program(name), "-h", broker.host, "-p", str(broker.port)]


def run(name: str, broker: EmbeddedBroker, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*client(name, broker), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_mosquitto_rr_gets_its_answer(broker: EmbeddedBroker) -> None:
    with Caller(broker.port) as answerer:
        answerer.subscribe("ask/rr")
        arguments = "-V mqttv5 -q 1 -t ask/rr -e answer/rr -m question -W 20 -D PUBLISH correlation-data c-1"
        with subprocess.Popen(
            [*client("mosquitto_rr", broker), *arguments.split(), "-F", "%p %D"], stdout=subprocess.PIPE, text=True
        ) as asker:
            question = answerer.wait_for("ask/rr")
            assert question.payload == b"question"
            assert question.response_topic == "answer/rr"
            answerer.publish(question.response_topic, b"answer", correlation_data=question.correlation_data)

            assert asker.communicate(timeout=30)[0].split() == ["answer", "c-1"]
    assert asker.returncode == 0


@pytest.mark.parametrize(("publisher", "subscriber"), [("3.1.1", 5), (5, "3.1.1"), (5, 5), ("3.1.1", "3.1.1")])
def test_a_message_crosses_from_one_protocol_to_the_other(
    broker: EmbeddedBroker, publisher: int | str, subscriber: int | str
) -> None:
    topic = f"cross/{publisher}/{subscriber}"
    with Caller(broker.port, subscriber) as receiver, Caller(broker.port, publisher) as sender:
        receiver.subscribe(f"cross/{publisher}/+")

        sender.publish(topic, "ñ".encode())

        arrived = receiver.wait_for(topic)
        assert (arrived.payload, arrived.qos, arrived.retain) == ("ñ".encode(), 1, False)


def test_mosquittos_own_clients_cross_too(broker: EmbeddedBroker) -> None:
    assert run("mosquitto_pub", broker, "-V", "mqttv311", "-t", "own/4", "-m", "four", "-q", "1", "-r").returncode == 0
    assert run("mosquitto_pub", broker, "-V", "mqttv5", "-t", "own/5", "-m", "five", "-q", "1", "-r").returncode == 0

    for version in ("mqttv311", "mqttv5"):
        got = run("mosquitto_sub", broker, "-V", version, "-t", "own/#", "-C", "2", "-W", "20", "-F", "%p %r")
        assert sorted(got.stdout.splitlines()) == ["five 1", "four 1"], got.stderr


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
def test_a_retained_message_waits_for_its_reader_and_can_be_taken_back(
    broker: EmbeddedBroker, protocol: int | str
) -> None:
    topic = f"kept/{protocol}"
    with Caller(broker.port, protocol) as caller:
        caller.publish(topic, b"online", retain=True)
        caller.subscribe(topic)
        assert caller.wait_for(topic).retain

        caller.publish(topic, b"", retain=True)
        assert caller.wait_for(topic).payload == b""
    with Caller(broker.port, protocol) as later:
        later.subscribe(f"kept/{protocol}/#")
        later.publish(f"kept/{protocol}/end", b"end")
        later.wait_for(f"kept/{protocol}/end")
        assert [message.topic for message in later.messages] == [f"kept/{protocol}/end"]


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
def test_a_client_that_dies_leaves_its_will(broker: EmbeddedBroker, protocol: int | str) -> None:
    topic = f"will/{protocol}"
    with Caller(broker.port) as watcher, Caller(broker.port, protocol, will=(topic, b"offline")) as caller:
        watcher.subscribe(topic)

        caller.drop()

        assert watcher.wait_for(topic).payload == b"offline"


def test_a_payload_as_large_as_the_bridge_accepts_or_sends_passes(broker: EmbeddedBroker) -> None:
    payload = os.urandom(300_000)
    with Caller(broker.port) as caller:
        caller.subscribe("large")
        caller.publish("large", payload)
        assert caller.wait_for("large").payload == payload


def test_hundreds_of_malformed_connections_leave_the_broker_working(broker: EmbeddedBroker) -> None:
    beginnings = [b"\x10\x0e\x00\x04MQTT\x04", b"\x10\x0f\x00\x04MQTT\x05", b"\x00" * 20, b""]
    with Caller(broker.port) as caller:
        caller.subscribe("after/garbage")
        for number in range(200):
            with socket.create_connection((broker.host, broker.port), timeout=10) as bad:
                bad.sendall(beginnings[number % len(beginnings)] + os.urandom(30))

        caller.publish("after/garbage", b"1")

        caller.wait_for("after/garbage")
        with Caller(broker.port, "3.1.1") as newcomer:
            newcomer.publish("after/garbage", b"2")
        assert caller.wait_for("after/garbage").payload == b"2"
        assert not caller.disconnections


def test_a_demonstrations_worth_of_retained_messages_is_delivered(broker: EmbeddedBroker) -> None:
    with Caller(broker.port) as caller:
        for number in range(60):
            caller.publish(f"many/{number}", b"online", retain=True)
        caller.subscribe("many/+")
        for number in range(60):
            caller.wait_for(f"many/{number}")


@pytest.mark.parametrize("kind", ["iotcore", "mosquitto"])
def test_stopping_leaves_no_process_and_no_open_port(kind: Any) -> None:
    before = processes.descendants().keys()
    with EmbeddedBroker(prefer=kind) as embedded, Caller(embedded.port) as caller:
        children = {pid: command for pid, command in processes.descendants().items() if pid not in before}
        assert [kind in command for command in children.values()] == [True]
        caller.publish("x", b"1")
        embedded.stop()

    assert not processes.accepts(embedded.port)
    assert not children.keys() & processes.descendants().keys()


@pytest.mark.parametrize("kind", ["iotcore", "mosquitto"])
def test_the_broker_dies_with_a_process_that_is_killed(kind: Any) -> None:
    script = (
        "import signal, sys; from zkbridge.demo.broker import EmbeddedBroker\n"
        "broker = EmbeddedBroker(prefer=sys.argv[1]); broker.start(); print(broker.port, flush=True); signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, kind], stdout=subprocess.PIPE, text=True) as parent:
        parent.stdout.readline()
        family = processes.descendants(parent.pid)
        assert len(family) == 1

        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in family), what="the broker to end")


@pytest.mark.parametrize("kind", ["iotcore", "mosquitto"])
def test_ctrl_c_at_the_terminal_does_not_reach_the_broker(kind: Any) -> None:
    before = processes.descendants().keys()
    with EmbeddedBroker(prefer=kind) as embedded:
        (child,) = (
            pid
            for pid, command in processes.descendants().items()
            if pid not in before and "zkbridge-broker-" in command
        )
        assert os.getpgid(child) != os.getpgid(0)
        assert embedded.port


def test_without_iotcore_it_is_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with EmbeddedBroker(prefer="iotcore") as embedded:
        assert embedded.kind == "mosquitto"


def test_mosquitto_is_preferred_where_it_is_installed_and_iotcore_used_where_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with EmbeddedBroker() as embedded:
        assert embedded.kind == "mosquitto"
    monkeypatch.setattr(embedded_broker, "_mosquitto", lambda: None)
    with EmbeddedBroker() as embedded:
        assert embedded.kind == "iotcore"


def test_without_any_broker_it_prints_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(embedded_broker, "_mosquitto", lambda: None)

    with pytest.raises(BrokerUnavailable, match=r"apt install mosquitto"):
        EmbeddedBroker().start()


def test_an_iotcore_that_does_not_start_gives_way_to_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "ROUTER", "this is not TOML")

    with EmbeddedBroker(prefer="iotcore") as embedded:
        assert embedded.kind == "mosquitto"


def test_brokers_that_do_not_start_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "ROUTER", "this is not TOML")
    monkeypatch.setattr(embedded_broker, "_mosquitto", lambda: shutil.which("false"))
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(
        BrokerUnavailable, match=r"The broker iotcore ended as soon as it was started: .*\."
    ) as unavailable:
        EmbeddedBroker().start()
    assert str(unavailable.value)


@pytest.mark.parametrize("kind", ["iotcore", "mosquitto"])
def test_a_free_port_that_is_taken_meanwhile_is_replaced_by_another(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "_installed", lambda each: each == kind)
    free_port = embedded_broker._free_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        offers = [other.getsockname()[1]]
        monkeypatch.setattr(embedded_broker, "_free_port", lambda *args: offers.pop() if offers else free_port(*args))

        with EmbeddedBroker() as embedded, Caller(embedded.port) as caller:
            caller.publish("x", b"1")
    assert not offers


def test_a_broker_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "START_S", 0)

    with pytest.raises(BrokerUnavailable, match="The broker mosquitto did not come up within 0 s"):
        EmbeddedBroker().start()


def test_a_broker_that_does_not_end_when_asked_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "STOP_S", 0.1)
    before = processes.descendants().keys()
    embedded = EmbeddedBroker()
    embedded.start()
    (child,) = processes.descendants().keys() - before
    os.kill(child, signal.SIGSTOP)

    embedded.stop()

    assert child not in processes.descendants()


@pytest.mark.parametrize("kind", ["iotcore", "mosquitto"])
def test_a_taken_port_is_named(kind: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerUnavailable, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            EmbeddedBroker(port=port, prefer=kind).start()


@pytest.mark.parametrize("kind", ["iotcore", "mosquitto"])
def test_the_port_asked_for_is_the_port_had(kind: Any) -> None:
    port = processes.free_port()
    with EmbeddedBroker(port=port, prefer=kind) as embedded, Caller(port) as caller:
        assert embedded.port == port
        caller.publish("x", b"1")


def test_a_broker_can_be_started_again_after_it_was_stopped() -> None:
    embedded = EmbeddedBroker()
    for _ in range(2):
        with embedded, Caller(embedded.port) as caller:
            caller.publish("x", b"1")
