"""The bridge at work behind the published limits of brokers that no test can run: AWS IoT Core, Azure Event Grid.

A proxy before Mosquitto (tests/support/strict_broker.py) enforces them and closes where those brokers close.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.strict_broker import AWS_IOT_CORE, EVENT_GRID, Limits, StrictBroker
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone
#: The longest ids that the bridge takes; and base topics of as many levels as the docs say that a broker leaves.
LONGEST = "p" * 64
BASES = {"AWS IoT Core": "aws/plant/zk", "Azure Event Grid": "azure/plant/zk"}


@dataclass(frozen=True)
class Site:
    daemon: Daemon
    proxy: StrictBroker
    caller: Caller
    terminal: SimulatedTerminal
    base: str

    def ask(self, command: str, payload: dict[str, Any], *, to: str = LONGEST, **properties: Any) -> dict[str, Any]:
        topic = f"{self.base}/{to}/{command}"
        self.caller.publish(topic, payload, **properties)
        return self.caller.wait_for(properties.get("response_topic", f"{topic}/reply"), timeout=30).json


@contextmanager
def site(folder: Path, port: int, limits: Limits, protocol: str) -> Iterator[Site]:
    base = f"{BASES[limits.name]}{protocol[0]}"
    mqtt: dict[str, Any] = {"base_topic": base, "protocol": protocol}
    if protocol == "3.1.1" and limits.payload is not None:
        mqtt["max_reply"] = limits.payload - 8192  # what docs/brokers.md says: no CONNACK tells
    with Simulator() as simulator, StrictBroker(port, limits) as proxy, Caller(port) as caller:
        terminal = simulator.add(TerminalConfig(profile="tft", user_capacity=10_000))
        terminal.fill_users(2500)
        daemon = Daemon(
            folder / "d",
            proxy.port,
            {LONGEST: device(terminal, attendance="live"), "q": {"host": "127.0.0.1", "timeout": 1}},
            mqtt=mqtt,
            homeassistant={"discovery": True, "prefix": f"ha-{base.replace('/', '-')}"},
            groups={"both": [LONGEST, "q"]},
            covered=False,
        )
        caller.subscribe(f"{base}/#")
        with daemon:
            yield Site(daemon, proxy, caller, terminal, base)


@pytest.fixture(
    params=[(limits, protocol) for limits in (AWS_IOT_CORE, EVENT_GRID) for protocol in ("5", "3.1.1")],
    ids=lambda param: f"{param[0].name}-{param[1]}",
    scope="module",
)
def strict(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto
) -> Iterator[Site]:
    limits, protocol = request.param
    with site(tmp_path_factory.mktemp("strict"), shared_broker.port, limits, protocol) as strict:
        yield strict


def test_everything_that_the_bridge_does_stays_within_the_limits(strict: Site) -> None:
    terminal, caller = strict.terminal, strict.caller
    created = strict.ask("users/create", {"user_id": "900001", "name": "Ana", "request_id": "r-1"})
    assert created["code"] == "created"
    assert strict.ask("users/create", {"user_id": "900001", "name": "Eva"})["code"] == "user_exists"

    rows, offset = [], 0
    while offset is not None:
        part = strict.ask("users/list", {"offset": offset})
        rows += part["data"]
        offset = part.get("next_offset")
    assert len(rows) == len(terminal.users()) == 2501

    together = strict.ask("ping", {"request_id": "g-1"}, to="both")
    assert (together["code"], [part["device_id"] for part in together["results"]]) == ("partial", [LONGEST, "q"])

    cancelled = strict.ask("users/enroll-finger/cancel", {"user_id": "1"})
    assert cancelled["code"] == "enroll_not_found"  # the longest topic of all
    wait_until(lambda: "listened to for the first time" in strict.daemon.log, timeout=30)
    assert terminal.punch("1", when=NINE)
    assert caller.wait_for(f"{strict.base}/{LONGEST}/attendance/event", timeout=30).json["user_id"] == "1"

    assert strict.proxy.violations == []
    assert strict.proxy.connects == strict.daemon.log.count(" connected to ") == 1
    assert "refuses" not in strict.daemon.log


def test_a_shorter_session_is_logged(strict: Site) -> None:
    told = "keeps commands for a bridge that is away" in strict.daemon.log

    assert told == ("by MQTT 5," in strict.daemon.log)


def violation(port: int, limits: Limits, packet_: str) -> list[str]:
    """What the proxy says of one wrong packet."""
    with StrictBroker(port, limits) as proxy:
        caller = Caller(proxy.port, client_id="c" * 200 if packet_ == "client id" else "", reconnect=False)
        try:
            caller.connect()
            if packet_ == "filters":
                caller._client.subscribe([(f"x/{n}", 1) for n in range(11)])
            elif packet_ == "subscriptions":
                for number in range(51):
                    caller._client.subscribe(f"x/{number}", 1)
            else:
                topic, qos, payload, retain = {
                    "qos": ("x", 2, b"", False),
                    "slashes": ("x/" * 8, 1, b"", False),
                    "topic": ("x" * 257, 1, b"", False),
                    "payload": ("x", 1, b"x" * (512 * 1024 + 1), False),
                    "retained": ("x", 1, b"x" * (64 * 1024 + 1), True),
                }[packet_]
                caller._client.publish(topic, payload, qos, retain)
            wait_until(lambda: proxy.violations)
        except AssertionError:
            pass
        finally:
            caller.close()
        return proxy.violations


@pytest.mark.parametrize(
    ("limits", "wrong", "words"),
    [
        (AWS_IOT_CORE, "filters", "11 filters"),
        (AWS_IOT_CORE, "subscriptions", "51 subscriptions"),
        (AWS_IOT_CORE, "qos", "QoS 2"),
        (AWS_IOT_CORE, "slashes", "8 slashes"),
        (AWS_IOT_CORE, "topic", "257 bytes"),
        (AWS_IOT_CORE, "payload", "a packet of"),
        (EVENT_GRID, "filters", "11 filters"),
        (EVENT_GRID, "retained", "a retained payload"),
        (EVENT_GRID, "qos", "QoS 2"),
    ],
)
def test_the_proxy_closes_at_what_is_beyond_the_limits(
    shared_broker: Mosquitto, limits: Limits, wrong: str, words: str
) -> None:
    (said,) = violation(shared_broker.port, limits, wrong)

    assert words in said


def test_too_many_subscriptions_are_named(tmp_path: Path, shared_broker: Mosquitto) -> None:
    """With `unknown_devices: ignore` each device costs a subscription for every command: AWS takes 50."""
    devices = {f"p{number}": {"host": "127.0.0.1"} for number in range(5)}
    mqtt: dict[str, Any] = {"base_topic": "aws-many", "unknown_devices": "ignore"}
    with StrictBroker(shared_broker.port, AWS_IOT_CORE) as proxy:
        daemon = Daemon(tmp_path / "d", proxy.port, devices, mqtt=mqtt, covered=False)
        daemon.start(online=False)
        wait_until(lambda: "while the bridge made" in daemon.log, timeout=20)
        assert daemon.stop() == 0
    assert "some brokers take no more than 50" in daemon.log
    assert proxy.violations[0].endswith(" subscriptions")
