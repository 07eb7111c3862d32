"""The same for every broker: the main job, duplicates, state, what waits, what comes again, the last will."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.brokers import BROKERS, Broker
from tests.brokers.observe import cells, observe
from tests.brokers.one_way import OneWay
from tests.project.tree import ROOT
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

USER = {"user_id": "1", "name": "Ana"}
# RabbitMQ takes ten seconds to start, and a package that nobody else needs.
# What speaks both is met in its older tongue by the long run; Mosquitto's is tried by many others.
SLOW = {"RabbitMQ": pytest.mark.slow, "3.1.1": pytest.mark.slow}
# Brokers without MQTT 5 are met as they are in life: by a bridge that tries it first.
MEETINGS = [
    pytest.param((name, protocol), id=f"{name}-{protocol}", marks=SLOW.get(name, SLOW.get(protocol, ())))
    for name, kind in BROKERS.items()
    for protocol in (kind.protocols if "5" in kind.protocols else ["auto"])
]
numbers = itertools.count()


@pytest.fixture(scope="module", params=MEETINGS)
def meeting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, str]]:
    name, protocol = request.param
    with BROKERS[name](tmp_path_factory.mktemp(name)) as broker:
        yield broker, protocol


@pytest.fixture
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig(profile="tft"))


@pytest.fixture
def base() -> str:
    """Every test has topics of its own on the broker that they share."""
    return f"zk{next(numbers)}"


@pytest.fixture
def daemon(meeting: tuple[Broker, str], tmp_path: Path, terminal: SimulatedTerminal, base: str) -> Daemon:
    return make_daemon(meeting, tmp_path, terminal, base)


def make_daemon(
    meeting: tuple[Broker, str], folder: Path, terminal: SimulatedTerminal, base: str, *, port: int | None = None
) -> Daemon:
    broker, protocol = meeting
    mqtt = {"protocol": protocol, "base_topic": base, "client_id": f"bridge-of-{base}"}
    log = {"level": "debug"}
    return Daemon(folder / "d", port or broker.port, {"principal": device(terminal)}, mqtt=mqtt, log=log, covered=False)


@pytest.fixture
def caller(meeting: tuple[Broker, str]) -> Iterator[Caller]:
    broker, protocol = meeting
    with Caller(broker.port, "5" if protocol == "5" else "3.1.1") as caller:
        yield caller


def test_a_user_is_created_once_and_the_second_request_is_refused(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal, base: str
) -> None:
    caller.subscribe(f"{base}/principal/users/create/reply")
    with daemon:
        wait_until(lambda: "everything subscribed to is heard" in daemon.log)
        for code, status in (("created", 200), ("user_exists", 409)):
            caller.publish(f"{base}/principal/users/create", USER)
            answer = caller.wait_for(timeout=20).json
            assert (answer["code"], answer["status"]) == (code, status)

    assert [user.user_id for user in terminal.users()] == ["1"]
    assert "deaf" not in daemon.log


def test_a_new_subscriber_gets_the_state(daemon: Daemon, caller: Caller, base: str) -> None:
    with daemon:
        for topic, key, value in (("state", "state", "online"), ("info", "devices", ["principal"])):
            caller.subscribe(f"{base}/bridge/{topic}")
            assert caller.wait_for(f"{base}/bridge/{topic}").json[key] == value
    assert caller.wait_for(f"{base}/bridge/state", lambda m: m.json["state"] == "offline")


def test_the_broker_publishes_the_will_of_a_bridge_that_was_killed(daemon: Daemon, caller: Caller, base: str) -> None:
    daemon.start()
    caller.subscribe(f"{base}/bridge/state")
    caller.wait_for(f"{base}/bridge/state", lambda m: m.json["state"] == "online")
    daemon.kill()

    caller.wait_for(f"{base}/bridge/state", lambda m: m.json["state"] == "offline")


def test_a_command_waits_for_a_bridge_that_is_away(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal, base: str
) -> None:
    caller.subscribe(f"{base}/principal/users/create/reply")
    with daemon:
        pass
    caller.publish(f"{base}/principal/users/create", USER)
    with daemon:
        assert caller.wait_for(timeout=20).json["code"] == "created"

    assert len(terminal.users()) == 1


def test_a_command_whose_acknowledgement_was_lost_is_done_once(
    meeting: tuple[Broker, str], tmp_path: Path, caller: Caller, terminal: SimulatedTerminal, base: str
) -> None:
    """The broker brings it again, each in its own way; the answer is the first one's, never 409."""
    broker, _ = meeting
    reply = f"{base}/principal/users/create/reply"
    caller.subscribe(reply)
    with (
        OneWay(broker.port) as wire,
        make_daemon(meeting, tmp_path, terminal, base, port=wire.port) as daemon,
    ):
        wait_until(lambda: "everything subscribed to is heard" in daemon.log)
        wire.mute.set()
        caller.publish(f"{base}/principal/users/create", USER)
        wait_until(terminal.users, timeout=20)
        wait_until(lambda: re.search(r"answered|code=created", daemon.log), timeout=20)
        wire.cut()
        assert caller.wait_for(reply, timeout=20).json["code"] == "created"

        # What comes after it is worked on after it: then everything that was to come again has come.
        caller.publish(f"{base}/principal/users/create", {"user_id": "2", "name": "Eva"})
        caller.wait_for(reply, lambda m: m.json["data"]["user_id"] == "2", timeout=20)

    assert {message.json["code"] for message in caller.messages} == {"created"}
    assert [user.user_id for user in terminal.users()] == ["1", "2"]


@pytest.mark.parametrize(("name", "protocol"), [pytest.param(*p.values[0], id=p.id, marks=p.marks) for p in MEETINGS])
def test_everything_retained_is_published_again_to_a_broker_that_restarted(
    name: str, protocol: str, tmp_path: Path, terminal: SimulatedTerminal, base: str
) -> None:
    with (
        BROKERS[name](tmp_path / "broker") as broker,
        make_daemon((broker, protocol), tmp_path, terminal, base) as daemon,
    ):
        broker.restart()
        wait_until(lambda: daemon.log.count("connected to") == 2, timeout=60)
        with Caller(broker.port, "5" if protocol == "5" else "3.1.1") as caller:
            caller.subscribe(f"{base}/bridge/state")
            caller.wait_for(f"{base}/bridge/state", lambda m: m.json["state"] == "online")
            caller.subscribe(f"{base}/principal/users/create/reply")
            caller.publish(f"{base}/principal/users/create", USER)
            assert caller.wait_for(f"{base}/principal/users/create/reply", timeout=20).json["success"]


def table() -> dict[str, list[str]]:
    """What docs/brokers.md says of each broker."""
    page = (ROOT / "docs" / "brokers.md").read_text()
    rows = page.split("<!-- brokers -->")[1].split("<!-- /brokers -->")[0].strip().splitlines()[2:]
    split = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {name: rest for name, *rest in split}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in BROKERS])
def test_the_table_in_the_docs_is_what_the_brokers_do(name: str, tmp_path: Path) -> None:
    with BROKERS[name](tmp_path / "broker") as broker:
        assert table()[name] == cells(observe(broker))


def test_the_docs_know_the_brokers_of_this_suite_and_no_others() -> None:
    assert list(table()) == list(BROKERS)
