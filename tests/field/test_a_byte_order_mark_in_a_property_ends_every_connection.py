"""paho refuses U+FEFF in MQTT 5 properties, which is legal; the broker brings the message again, for ever.

Source: attack on 7bb949d, 2026-11
"""

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.field.conftest import FieldSite
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_packets import PUBLISH, packet, receive
from tests.support.strict_broker import Link, StrictBroker
from tests.support.waiting import wait_until
from zkbridge.cli.watch import Watcher
from zkbridge.client.caller import Caller as BridgeCaller
from zkbridge.config.models import Mqtt
from zkbridge.contract.messages import Message
from zkbridge.simulator import Simulator, TerminalConfig

MARK = "\ufeff"
BASE = "spoilt"


@pytest.mark.parametrize(
    "properties",
    [
        {"user_properties": [(MARK, "b")]},
        {"user_properties": [("a", "b"), ("c", f"d{MARK}")]},
        {"content_type": f"{MARK}application/json"},
        {"content_type": "application/json", "user_properties": [("a", MARK)] * 20, "payload_format": 1},
    ],
)
def test_a_request_with_a_byte_order_mark_in_a_property_is_answered(
    field_site: FieldSite, properties: dict[str, Any]
) -> None:
    answer = field_site.ask("p/ping", b"", **properties)

    assert answer["success"]
    assert field_site.connections == 1


def test_it_is_answered_on_its_response_topic_with_its_correlation_data(field_site: FieldSite) -> None:
    topic = f"field/replies/{MARK}mine"
    field_site.caller.publish(
        "field/p/ping", b"", response_topic=topic, correlation_data=b"\0c", user_properties=[(MARK, "")]
    )

    answer = field_site.caller.wait_for(topic, timeout=20)

    assert answer.json["success"]
    assert answer.correlation_data == b"\0c"
    assert field_site.connections == 1


def test_its_expiry_counts(field_site: FieldSite) -> None:
    field_site.caller.publish("field/both/ping", b"", message_expiry_s=0xFFFFFFFF, content_type=MARK)

    assert field_site.caller.wait_for("field/both/ping/reply", timeout=20).json["success"]


# -- what no broker should pass on, and some may -----------------------------------------------------------------------


class SpoilingBroker(StrictBroker):
    """Rewrites each PUBLISH for the bridge whose payload is b"SPOIL"; `spoil` makes the new body."""

    spoil: Callable[[bytes, bytes], bytes]

    def _downwards(self, link: Link) -> None:
        while True:
            head, body = receive(link.broker)
            if head >> 4 == PUBLISH and body.endswith(b"SPOIL"):
                size = int.from_bytes(body[:2])
                body = self.spoil(body[2 : 2 + size], body[2 + size : 4 + size])
            link.client.sendall(packet(head, body))


@dataclass(frozen=True)
class Spoilt:
    proxy: SpoilingBroker
    daemon: Daemon
    caller: Caller
    base: str = BASE

    @property
    def set_aside(self) -> list[dict[str, Any]]:
        path = self.daemon.state / "set-aside.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def connections(self) -> int:
        return self.daemon.log.count(" connected to ")

    def ask(self) -> dict[str, Any]:
        self.caller.publish(f"{self.base}/p/ping", b"{}")
        return self.caller.wait_for(f"{self.base}/p/ping/reply", timeout=20).json


@contextmanager
def running(folder: Path, broker: Mosquitto, base: str) -> Iterator[tuple[SpoilingBroker, Daemon]]:
    """A daemon behind the proxy."""
    with Simulator() as simulator, SpoilingBroker(broker.port) as proxy:
        daemon = Daemon(
            folder,
            proxy.port,
            {"p": device(simulator.add(TerminalConfig(profile="tft")))},
            mqtt={"base_topic": base},
            language="en",
            covered=False,
        )
        with daemon:
            yield proxy, daemon


@pytest.fixture(scope="module")
def proxy_and_daemon(
    tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto
) -> Iterator[tuple[SpoilingBroker, Daemon]]:
    with running(tmp_path_factory.mktemp("spoilt") / "d", shared_broker, BASE) as both:
        yield both


@pytest.fixture
def spoilt(proxy_and_daemon: tuple[SpoilingBroker, Daemon], shared_broker: Mosquitto) -> Iterator[Spoilt]:
    with Caller(shared_broker.port) as caller:
        caller.subscribe(f"{BASE}/#", no_local=True)
        yield Spoilt(*proxy_and_daemon, caller)


def text(value: bytes) -> bytes:
    return struct.pack("!H", len(value)) + value


def with_properties(region: bytes, payload: bytes = b"{}") -> Callable[..., Any]:
    return lambda topic, mid: text(topic) + mid + bytes((len(region),)) + region + payload


BAD = b"\xff\xfe"
ANSWERED = {
    "a user property that is not UTF-8": with_properties(b"\x26" + text(BAD) + text(b"x")),
    "a content type with NUL": with_properties(b"\x03" + text(b"a\0b")),
    "half of a surrogate pair": with_properties(b"\x03" + text(b"\xed\xa0\x80")),
    "a property that does not exist": with_properties(b"\x7f\x01\x02"),
    "a property of another packet": with_properties(b"\x11\0\0\0\1"),
    "the same property twice": with_properties(b"\x03" + text(b"a") + b"\x03" + text(b"b")),
    "a payload format of 2": with_properties(b"\x01\x02"),
    "a topic alias of 0": with_properties(b"\x23\0\0"),
    "a string longer than the properties": with_properties(b"\x03\xff\xffa"),
    "properties cut off in a number": with_properties(b"\x0b\xff"),
}
SET_ASIDE = {
    "properties longer than the packet": lambda topic, mid: text(topic) + mid + b"\x7f\x03",
    "no length of the properties": lambda topic, mid: text(topic) + mid,
    "a length of five bytes": lambda topic, mid: text(topic) + mid + b"\xff\xff\xff\xff\x01",
    "a topic that is not UTF-8": lambda topic, mid: text(topic + BAD) + mid + b"\0{}",
}


@pytest.mark.parametrize("spoil", ANSWERED.values(), ids=ANSWERED)
def test_a_message_whose_payload_can_be_read_is_answered(spoilt: Spoilt, spoil: Callable[..., Any]) -> None:
    before = spoilt.connections
    spoilt.proxy.spoil = spoil

    spoilt.caller.publish(f"{BASE}/p/ping", b"SPOIL")

    assert spoilt.caller.wait_for(f"{BASE}/p/ping/reply", timeout=20).json["success"]
    assert spoilt.connections == before


def test_a_response_topic_that_is_not_utf_8_is_refused(spoilt: Spoilt) -> None:
    spoilt.proxy.spoil = with_properties(b"\x09" + text(b"c") + b"\x08" + text(f"{BASE}/replies/".encode() + BAD))

    spoilt.caller.publish(f"{BASE}/p/ping", b"SPOIL")
    answer = spoilt.caller.wait_for(f"{BASE}/p/ping/reply", timeout=20)

    assert answer.json["response_topic_refused"]
    assert answer.correlation_data == b"c"


@pytest.mark.parametrize("spoil", SET_ASIDE.values(), ids=SET_ASIDE)
def test_what_cannot_be_read_is_acknowledged_and_set_aside_and_the_connection_lives(
    spoilt: Spoilt, spoil: Callable[..., Any]
) -> None:
    connections, noted = spoilt.connections, len(spoilt.set_aside)
    spoilt.proxy.spoil = spoil

    spoilt.caller.publish(f"{BASE}/p/ping", b"SPOIL")
    wait_until(lambda: len(spoilt.set_aside) == noted + 1, what="it to be set aside")

    assert spoilt.ask()["success"]
    assert spoilt.connections == connections
    assert spoilt.daemon.log.count(f"error_id={spoilt.set_aside[-1]['error_id']}") == 1
    assert {"topic", "digest", "reason", "error_id", "at"} == set(spoilt.set_aside[-1])


def test_what_was_set_aside_does_not_come_again(spoilt: Spoilt) -> None:
    spoilt.proxy.spoil = lambda topic, mid: text(topic) + mid + b"\x7f\x05a"
    for _ in range(3):
        spoilt.caller.publish(f"{BASE}/p/ping", b"SPOIL")
    assert spoilt.ask()["success"]
    connections, again = spoilt.connections, []
    spoilt.proxy.spoil = lambda topic, mid: again.append(mid) or text(topic) + mid + b"\0{}"

    spoilt.proxy.cut()
    wait_until(lambda: spoilt.connections > connections, timeout=30, what="the bridge to be back")

    assert spoilt.ask()["success"]
    assert again == []
    assert spoilt.connections == connections + 1


def test_one_whose_packet_identifier_cannot_be_found_ends_no_connection(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    """On a daemon of its own: the broker sends it again at every new connection."""
    base = "astray"
    with running(tmp_path / "d", shared_broker, base) as both, Caller(shared_broker.port) as caller:
        caller.subscribe(f"{base}/#", no_local=True)
        spoilt = Spoilt(*both, caller, base)
        connections = spoilt.connections
        spoilt.proxy.spoil = lambda _topic, _mid: b"\xff\xffab"

        caller.publish(f"{base}/p/ping", b"SPOIL")

        assert spoilt.ask()["success"]
        assert spoilt.connections == connections


# -- the command line's own connections --------------------------------------------------------------------------------


@pytest.fixture
def watcher(spoilt: Spoilt) -> Iterator[Watcher]:
    """What `zkbridge watch` hears with, behind the proxy."""
    with Watcher(Mqtt(host="127.0.0.1", port=spoilt.proxy.port, base_topic=BASE)) as watcher:
        watcher.listen([f"{BASE}/#"])
        assert watcher.news.get(timeout=20) == "broker connected"
        yield watcher


def heard(watcher: Watcher, last: str) -> list[Message | str]:
    """What it has heard, up to a message on that topic."""
    found: list[Message | str] = []
    while not found or getattr(found[-1], "topic", None) != last:
        found.append(watcher.news.get(timeout=20))
    return found


@pytest.mark.parametrize(
    "properties", [{"user_properties": [("command", MARK)]}, {"content_type": MARK}, {"response_topic": f"a/{MARK}"}]
)
def test_watch_shows_the_message_and_its_connection_lives(
    spoilt: Spoilt, watcher: Watcher, properties: dict[str, Any]
) -> None:
    spoilt.caller.publish(f"{BASE}/x/ping", b"seen", correlation_data=b"\0c", **properties)
    spoilt.caller.publish(f"{BASE}/x/end", b"")

    news = heard(watcher, f"{BASE}/x/end")

    assert "broker lost" not in news
    (message,) = (each for each in news if isinstance(each, Message) and each.payload == b"seen")
    assert (message.topic, message.correlation_data) == (f"{BASE}/x/ping", b"\0c")
    assert message.answers == dict(properties.get("user_properties", ())).get("command")


@pytest.mark.parametrize("spoil", SET_ASIDE.values(), ids=SET_ASIDE)
def test_watch_survives_what_cannot_be_read(
    spoilt: Spoilt, watcher: Watcher, spoil: Callable[[bytes, bytes], bytes]
) -> None:
    spoilt.proxy.spoil = spoil
    spoilt.caller.publish(f"{BASE}/x/unread", b"SPOIL")
    spoilt.caller.publish(f"{BASE}/x/end", b"")

    news = heard(watcher, f"{BASE}/x/end")

    assert "broker lost" not in news
    assert not [each for each in news if isinstance(each, Message) and each.topic == f"{BASE}/x/unread"]


def test_a_caller_gets_an_answer_beside_such_a_message(spoilt: Spoilt) -> None:
    with BridgeCaller(Mqtt(host="127.0.0.1", port=spoilt.proxy.port, base_topic=BASE)) as asker:
        asker.listen([f"{BASE}/p/ping/reply"])
        spoilt.caller.publish(f"{BASE}/p/ping/reply", b"{}", content_type=MARK)
        answer = asker.ask("p", "ping", {}, timeout=20)

    assert answer["success"]
