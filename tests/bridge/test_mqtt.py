"""The broker's side, against a real Mosquitto."""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.certificates import make_certificates
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from tests.support.waiting import wait_until
from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Message, Publication, PunchToken, Token
from zkbridge.contract.publish_packets import Unreadable
from zkbridge.demo.mux import Mux
from zkbridge.mqtt.client import Mqtt
from zkbridge.mqtt.dial import Plan, Trial, try_out
from zkbridge.mqtt.subscriptions import Subscriptions

COMMAND = "zk/principal/users/create"


class Rest:
    """The rest of the daemon: keeps what it is told, and fails when it is told to."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self.batches: list[int] = []
        self.failing = threading.Event()
        self.connections: list[tuple[str, int | None]] = []
        self.disconnections = 0
        self.confirmations: list[tuple[Token, str | None]] = []
        self.heard: list[tuple[str, bytes]] = []
        self.facts: dict[str, str] = {}
        self.numbers = 0
        self.unread: list[Any] = []
        self.deaths: list[BaseException] = []
        self.states = [Publication("zk/bridge/state", b'{"state":"online"}', retain=True)]

    def receive(self, messages: Iterable[Message]) -> None:
        if self.failing.is_set():
            raise OSError("the disk is full")
        batch = list(messages)
        self.batches.append(len(batch))
        self.received += batch

    def unreadable(self, packets: Iterable[Unreadable]) -> None:
        self.unread += packets

    def next_connection(self) -> int:
        self.numbers += 1
        return self.numbers

    def retained(self) -> list[Publication]:
        return self.states

    def connected(self, protocol: str, largest: int | None) -> None:
        self.connections.append((protocol, largest))

    def disconnected(self) -> None:
        self.disconnections += 1

    def confirmed(self, token: Token, refusal: str | None) -> None:
        self.confirmations.append((token, refusal))

    def overheard(self, topic: str, payload: bytes) -> None:
        self.heard.append((topic, payload))

    def fail(self, error: BaseException) -> None:
        self.deaths.append(error)

    def recall(self, name: str) -> str | None:
        return self.facts.get(name)

    def remember(self, name: str, value: str) -> None:
        self.facts[name] = value


def side(broker: Mosquitto | Mux, rest: Rest, **settings: Any) -> Mqtt:
    return Mqtt(
        Settings.model_validate({"host": "127.0.0.1", "port": broker.port, "client_id": "side", **settings}),
        rest,
        subscriptions=Subscriptions(("zk/+/users/create",), watched=frozenset(["zk/bridge/state"])),
        will=Publication("zk/bridge/state", b'{"state":"offline"}', retain=True),
    )


@pytest.fixture
def rest() -> Iterator[Rest]:
    rest = Rest()
    yield rest
    assert rest.deaths == []


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def mqtt(broker: Mosquitto, rest: Rest, protocol: str) -> Iterator[Mqtt]:
    mqtt = side(broker, rest, protocol=protocol)
    mqtt.start()
    wait_until(lambda: rest.connections)
    yield mqtt
    mqtt.stop(5)


def test_what_arrives_is_kept_then_acknowledged(broker: Mosquitto, rest: Rest, mqtt: Mqtt, protocol: str) -> None:
    with Caller(broker.port, protocol) as caller:
        caller.publish(COMMAND, b"one")
        wait_until(lambda: rest.received)
    (message,) = rest.received
    assert (message.topic, message.payload, message.qos, message.retain, message.dup) == (
        COMMAND,
        b"one",
        1,
        False,
        False,
    )
    assert message.connection == 1
    mqtt.reconnect()
    wait_until(lambda: len(rest.connections) == 2)

    with Caller(broker.port, protocol) as caller:
        caller.publish(COMMAND, b"two")
        wait_until(lambda: len(rest.received) > 1)

    assert [message.payload for message in rest.received] == [b"one", b"two"]


@pytest.mark.usefixtures("mqtt")
def test_what_could_not_be_kept_is_brought_again(
    broker: Mosquitto, rest: Rest, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    rest.failing.set()
    with Caller(broker.port, protocol) as caller:
        caller.publish(COMMAND, b"one")
    wait_until(lambda: "could not be kept (the disk is full)" in caplog.text)
    rest.failing.clear()

    wait_until(lambda: rest.received)
    assert rest.received[0].payload == b"one"
    assert rest.received[0].dup


@pytest.mark.usefixtures("mqtt")
def test_a_burst_is_kept_in_batches_and_in_order(broker: Mosquitto, rest: Rest, protocol: str) -> None:
    with Caller(broker.port, protocol) as caller:
        for number in range(300):
            caller._client.publish(COMMAND, b"%d" % number, 1)
        wait_until(lambda: len(rest.received) >= 300)

    assert [message.payload for message in rest.received] == [b"%d" % number for number in range(300)]
    assert len(rest.batches) < 300


def test_commands_wait_at_the_broker_while_we_are_away(broker: Mosquitto, rest: Rest, protocol: str) -> None:
    first = side(broker, rest, protocol=protocol)
    first.start()
    wait_until(lambda: rest.connections)
    first.stop(5)
    with Caller(broker.port, protocol) as caller:
        caller.publish(COMMAND, b"while you were out")

    second = side(broker, rest, protocol=protocol)
    second.start()
    wait_until(lambda: rest.received)
    second.stop(5)

    assert rest.received[0].payload == b"while you were out"


def test_the_state_is_published_on_every_connect_and_the_will_after_a_lost_connection(
    broker: Mosquitto, rest: Rest, mqtt: Mqtt, protocol: str
) -> None:
    with Caller(broker.port, protocol) as caller:
        caller.subscribe("zk/bridge/state")
        assert caller.wait_for("zk/bridge/state").retain
        life = mqtt._connection
        life.client.socket().shutdown(2)  # type: ignore[attr-defined]  # a real socket
        assert caller.wait_for("zk/bridge/state", lambda m: m.json["state"] == "offline")
        assert caller.wait_for("zk/bridge/state", lambda m: m.json["state"] == "online")
    wait_until(lambda: len(rest.connections) == 2)
    assert rest.disconnections == 1


def test_a_publish_is_confirmed_under_its_token(broker: Mosquitto, rest: Rest, mqtt: Mqtt, protocol: str) -> None:
    with Caller(broker.port, protocol) as caller:
        caller.subscribe("zk/replies/#")
        publication = Publication("zk/replies/me", b"{}", correlation_data=b"\0\xff", status=200, code="created")
        mqtt.publish(PunchToken(7), publication)
        answer = caller.wait_for("zk/replies/me")
    wait_until(lambda: rest.confirmations)
    assert rest.confirmations == [(PunchToken(7), None)]
    if protocol == "5":
        assert answer.correlation_data == b"\0\xff"
        assert (answer.content_type, answer.payload_format) == ("application/json", 1)
        assert answer.user_properties == [("status", "200"), ("code", "created")]


def test_a_topic_that_cannot_be_published_is_a_refusal_and_nothing_else(rest: Rest, mqtt: Mqtt) -> None:
    mqtt.publish(PunchToken(1), Publication("zk/+/x", b"{}"))
    mqtt.publish(PunchToken(2), Publication("zk/x", b"{}"))

    wait_until(lambda: len(rest.confirmations) == 2)
    assert rest.confirmations[0][1] is not None
    assert rest.confirmations[1] == (PunchToken(2), None)


def test_mqtt_5_reports_a_refused_publish(tmp_path: Path, rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    acl = "topic read #\ntopic write zk/bridge/state\n"
    with Mosquitto(tmp_path / "acl", acl=acl) as broker:
        mqtt = side(broker, rest, protocol="5")
        mqtt.start()
        mqtt_ready = wait_until(lambda: rest.connections)
        mqtt.publish(PunchToken(3), Publication("zk/forbidden", b"{}"))
        mqtt.publish(None, Publication("zk/bridge/info", b"{}", retain=True))
        wait_until(lambda: rest.confirmations and "refuses what is published on zk/bridge/info" in caplog.text)
        mqtt.stop(5)

    assert mqtt_ready
    refusal = "Not authorized; without a user name; examples/mosquitto/README.md"
    assert rest.confirmations == [(PunchToken(3), refusal)]


def test_auto_tries_mqtt_5_first(broker: Mosquitto, rest: Rest) -> None:
    mqtt = side(broker, rest)
    mqtt.start()
    wait_until(lambda: rest.connections)
    mqtt.stop(5)

    assert rest.connections[0][0] == "5"
    assert rest.facts[f"protocol 127.0.0.1:{broker.port}"] == "5"


def test_a_broker_that_comes_late_is_waited_for(tmp_path: Path, rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    with Mosquitto(tmp_path / "late") as broker:
        broker.kill()
        mqtt = side(broker, rest)
        mqtt.start()
        wait_until(lambda: "no connection to the broker" in caplog.text)
        assert not mqtt.is_connected
        broker.start()
        wait_until(lambda: rest.connections, timeout=20)
        mqtt.stop(5)


def test_a_refused_login_is_logged_and_tried_again(
    tmp_path: Path, rest: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    with Mosquitto(tmp_path / "locked", users={"bridge": "right"}) as broker:
        mqtt = side(broker, rest, username="bridge", password="wrong")
        mqtt.start()
        wait_until(lambda: caplog.text.count("refused: Not authorized") >= 2, timeout=15)
        mqtt.stop(5)
        assert rest.connections == []
        assert "wrong" not in caplog.text


def test_two_with_one_client_id_do_not_fight_for_ever(
    broker: Mosquitto, rest: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    mqtt, other_rest = side(broker, rest), Rest()
    other = side(broker, other_rest)
    mqtt.start()
    other.start()
    wait_until(lambda: "is another client using the client id 'side'?" in caplog.text, timeout=30)
    other.stop(5)
    mqtt.stop(5)


def test_a_fault_in_a_hook_ends_the_connection_and_not_the_hearing(
    rest: Rest, mqtt: Mqtt, caplog: pytest.LogCaptureFixture
) -> None:
    rest.confirmed = None  # type: ignore[method-assign]  # calling it is a TypeError inside the loop
    mqtt.publish(PunchToken(1), Publication("zk/bridge/state", b"{}"))
    wait_until(lambda: "ended by a fault" in caplog.text)
    rest.confirmed = lambda *_: None  # type: ignore[method-assign]  # the test puts its own in place

    wait_until(lambda: len(rest.connections) >= 2, timeout=15)


def test_a_message_on_a_watched_topic_that_makes_the_bridge_fail_ends_no_connection(
    rest: Rest, mqtt: Mqtt, caplog: pytest.LogCaptureFixture
) -> None:
    rest.overheard = None  # type: ignore[method-assign]  # the test puts its own in place
    mqtt.publish(None, Publication("zk/bridge/state", b"{}"))
    wait_until(lambda: "on a topic of the bridge's own is ignored" in caplog.text)

    assert mqtt.flush(10)
    assert len(rest.connections) == 1


def test_tls_and_client_certificates(tmp_path: Path, rest: Rest) -> None:
    certificates = make_certificates(tmp_path)
    with Mosquitto(tmp_path / "tls", tls=certificates, client_certificates=True) as broker:
        tls = {
            "ca_file": certificates.ca,
            "cert_file": certificates.client_cert,
            "key_file": certificates.client_key,
        }
        settings = Settings(host="localhost", port=broker.port, tls=tls)
        assert try_out(settings, Plan()) == Trial("5")
        mqtt = side(broker, rest, host="localhost", tls=tls)
        mqtt.start()
        wait_until(lambda: rest.connections)
        mqtt.publish(PunchToken(1), Publication("zk/bridge/state", b"x" * 100_000))
        wait_until(lambda: rest.heard and rest.confirmations)
        mqtt.stop(5)
        (problem,) = try_out(
            Settings(host="localhost", port=broker.port, tls={"ca_file": certificates.ca}), Plan()
        ).problems
        assert problem.startswith("it wants a client certificate (mqtt.tls.cert_file, key_file)")


def test_a_trial_connection_reports_what_is_wrong(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "locked", users={"bridge": "right"}) as broker:
        good = Settings(host="127.0.0.1", port=broker.port, username="bridge", password="right")
        assert try_out(good, Plan()) == Trial("5")
        (problem,) = try_out(good.model_copy(update={"password": "wrong"}), Plan()).problems
        assert problem.startswith("refused: Not authorized: it does not let this user in")
    assert try_out(good, Plan()).problems == ("Connection refused",)
    assert len(try_out(good.model_copy(update={"host": "no-such-host.invalid"}), Plan()).problems) == 1


@pytest.mark.parametrize("manners", ["says so", "hangs up"])
def test_auto_falls_back_and_asks_for_mqtt_5_at_each_start(
    broker: Mosquitto, rest: Rest, manners: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker of MQTT 3.1.1 only, with the two ways in which such brokers refuse MQTT 5."""
    backends = {4: broker.port} if manners == "says so" else {4: broker.port, 5: closed_port()}
    with Mux("127.0.0.1", 0, backends=backends) as old:
        for lives in (1, 2):
            mqtt = side(old, rest)
            mqtt.start()
            wait_until(lambda wanted=lives: len(rest.connections) == wanted, timeout=20)
            mqtt.stop(5)
        backends[5] = broker.port
        mqtt = side(old, rest)
        mqtt.start()
        wait_until(lambda: len(rest.connections) == 3, timeout=20)
        mqtt.stop(5)

    assert [protocol for protocol, _ in rest.connections] == ["3.1.1", "3.1.1", "5"]
    words = "does not speak MQTT 5" if manners == "says so" else "closes connections by MQTT 5 without an answer"
    assert caplog.text.count(words) == 2


def test_what_the_broker_cannot_take_is_refused_and_not_waited_for(tmp_path: Path, rest: Rest) -> None:
    with Mosquitto(tmp_path / "mosquitto", max_packet_size=300) as small:
        mqtt = side(small, rest)
        mqtt.start()
        wait_until(lambda: rest.connections)
        assert mqtt.flush(10)
        began = time.monotonic()
        mqtt.publish(PunchToken(1), Publication("zk/p/ping/reply", b"x" * 400))

        assert mqtt.flush(10)
        assert time.monotonic() - began < 5
        wait_until(lambda: rest.confirmations)
        mqtt.stop(5)

    ((token, refusal),) = rest.confirmations
    assert (token, "it takes 300" in (refusal or "")) == (PunchToken(1), True)
    assert rest.disconnections == 1
