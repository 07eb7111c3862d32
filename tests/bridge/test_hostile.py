"""Any bytes whatever: the daemon answers and lives."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.contract.messages import parse_object
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

NAMES = ["user_id", "name", "password", "privilege", "card", "request_id", "expires_at", "x", "", "user_id "]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.sampled_from(["0", "14", "123", "2030-01-01T00:00:00Z", "2000-01-01T00:00:00+00:00", "ñ" * 12, "\0", " "]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip - kinds of values
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=7).map(json.dumps).map(str.encode)
PAYLOADS = st.one_of(
    st.binary(max_size=300), OBJECTS, st.text(max_size=100).map(lambda s: s.encode("utf-8", "replace"))
)
CODES = {
    "created",
    "user_exists",
    "body_required",
    "missing_fields",
    "invalid_field",
    "expired",
    "request_id_reused",
    "device_rejected",
}  # fmt: skip - one set


@pytest.fixture(scope="module")
def daemon_and_terminal(
    tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto
) -> Iterator[tuple[Daemon, SimulatedTerminal]]:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft", user_capacity=100_000))
        daemon = Daemon(
            tmp_path_factory.mktemp("hostile") / "d",
            shared_broker.port,
            {"p": device(terminal)},
            mqtt={"base_topic": "hostile"},
            language="en",
        )  # fmt: skip - one call
        with daemon:
            yield daemon, terminal


@pytest.fixture
def site(
    daemon_and_terminal: tuple[Daemon, SimulatedTerminal], shared_broker: Mosquitto
) -> Iterator[tuple[Daemon, Caller, SimulatedTerminal]]:
    daemon, terminal = daemon_and_terminal
    with Caller(shared_broker.port) as caller:
        caller.subscribe("hostile/p/#")
        yield daemon, caller, terminal


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(payload=PAYLOADS, correlation=st.binary(min_size=1, max_size=50))
def test_any_payload_is_answered_with_its_correlation_data(
    site: tuple[Daemon, Caller, SimulatedTerminal], payload: bytes, correlation: bytes
) -> None:
    daemon, caller, terminal = site
    caller.publish("hostile/p/users/create", payload, correlation_data=correlation)

    answer = caller.wait_for("hostile/p/users/create/reply", timeout=30)

    assert answer.correlation_data == correlation
    body = parse_object(answer.payload)
    assert body["code"] in CODES, (payload, body)
    assert body["success"] is (body["code"] == "created")
    assert daemon.running
    if body["success"]:
        assert body["data"]["user_id"] in {user.user_id for user in terminal.users()}


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 65536,
        b'{"a":' * 13000,
        b'{"user_id":' + b"9" * 65000 + b',"name":"x"}',
        b'{"name":"\\ud800","user_id":1}',
        b'{"user_id":"1","user_id":"2","name":"x"}',
        b'{"user_id":"1","name":"\\u0000"}',
        b"\0" * 65536,
        b'{"user_id":1e400,"name":1}',
        b'{"card":-0,"name":"x","user_id":"\\u200f"}',
        b'{"request_id":"\\ud83d"}',
    ],
)  # fmt: skip - a list of payloads reads best as one
def test_the_worst_payloads_are_answered_too(site: tuple[Daemon, Caller, SimulatedTerminal], payload: bytes) -> None:
    daemon, caller, _ = site
    caller.publish("hostile/p/users/create", payload)

    assert parse_object(caller.wait_for("hostile/p/users/create/reply", timeout=30).payload)["code"] in CODES
    assert daemon.running


@pytest.mark.parametrize("levels", ["p/users/create/x", "p/users", "p", "//", "p//create", "p/users/create/reply"])
def test_other_topics_are_nobodys_business(site: tuple[Daemon, Caller, SimulatedTerminal], levels: str) -> None:
    daemon, caller, _ = site
    caller.publish(f"hostile/{levels}", b"{}")
    caller.publish("hostile/p/users/create", b"[]")

    assert caller.wait_for("hostile/p/users/create/reply", lambda m: m.json != {}).json["code"] == "body_required"
    assert daemon.running
