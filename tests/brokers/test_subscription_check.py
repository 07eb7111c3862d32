"""A bridge that the broker grants its subscriptions and then leaves deaf says so, and one that hears says nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.brokers import Aedes
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.mqtt.subscription_check import AGAIN_S, ECHO_S, HANG_UPS, PATIENCE_S, PROBE, SubscriptionCheck
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal

CREATE, STATE, INFO = "zk/+/users/create", "zk/bridge/state", "zk/bridge/info"
CREATE_PROBE = "zk/bridge/users/create"
USER = {"user_id": "1", "name": "Ana"}

ACL = {
    "may not read commands": "topic write zk/#\ntopic read zk/bridge/state\n",
    "may not try": "topic read zk/#\ntopic write zk/bridge/state\ntopic write zk/bridge/info\n",
    "may not read anything": "topic write zk/#\n",
}


@pytest.fixture
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig(profile="tft"))


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_bridge_that_receives_its_commands_answers_no_probe_and_logs_no_warning(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, protocol: str
) -> None:
    with Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.publish(INFO, b'{"instance":"0"}', retain=True)  # of an earlier run
        with Daemon(
            tmp_path / "d", broker.port, {"principal": device(terminal)}, mqtt={"protocol": protocol}, covered=False
        ) as daemon:
            caller.wait_for(INFO, lambda m: m.json.get("devices"))
            assert caller.wait_for(CREATE_PROBE).payload == PROBE
            caller.publish("zk/principal/users/create", USER)
            assert caller.wait_for("zk/principal/users/create/reply", timeout=20).json["success"]

    assert "device=bridge" not in daemon.log
    # Its own info, which the filter of the command `info` covers, is no command either.
    replies = [m for m in caller.messages if m.topic.startswith("zk/bridge/") and m.topic.endswith("/reply")]
    assert [m.topic for m in replies if m.payload != PROBE] == []
    assert len(replies) == (3 if protocol == "3.1.1" else 0)
    assert "deaf" not in daemon.log
    assert "whether commands are heard" not in daemon.log


@pytest.mark.parametrize("rights", ["may not read commands", "may not read anything"])
def test_a_granted_subscription_that_is_not_served_is_reported(
    tmp_path: Path, terminal: SimulatedTerminal, protocol: str, rights: str
) -> None:
    with Mosquitto(tmp_path / "m", acl=ACL[rights]) as broker:
        mqtt = {"protocol": protocol}
        with Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}, mqtt=mqtt, covered=False) as daemon:
            wait_until(lambda: "deaf to " in daemon.log, timeout=20, what=f"the complaint:\n{daemon.log}")

    (line,) = [line for line in daemon.log.splitlines() if "deaf to " in line]
    assert " ERROR " in line
    assert CREATE in line
    assert (STATE in line) == (rights == "may not read anything")


def test_a_probe_that_the_broker_refuses_is_reported(tmp_path: Path, terminal: SimulatedTerminal) -> None:
    with (
        Mosquitto(tmp_path / "m", acl=ACL["may not try"]) as broker,
        Daemon(
            tmp_path / "d", broker.port, {"principal": device(terminal)}, mqtt={"protocol": "5"}, covered=False
        ) as daemon,
    ):
        wait_until(lambda: "whether commands are heard is not known" in daemon.log, timeout=20)
        assert "(Not authorized; without a user name; examples/mosquitto/README.md)" in daemon.log


def test_a_broker_that_hangs_up_on_the_try_is_still_worked_with(tmp_path: Path, terminal: SimulatedTerminal) -> None:
    with (
        Aedes(tmp_path / "aedes", forbidden=CREATE_PROBE) as broker,
        Daemon(
            tmp_path / "d", broker.port, {"principal": device(terminal)}, mqtt={"protocol": "3.1.1"}, covered=False
        ) as daemon,
        Caller(broker.port, "3.1.1") as caller,
    ):
        wait_until(lambda: "it is not tried again" in daemon.log, timeout=20)
        wait_until(lambda: daemon.log.count("connected to") == HANG_UPS + 1, timeout=20)
        caller.subscribe("zk/principal/users/create/reply")
        caller.publish("zk/principal/users/create", USER)

        assert caller.wait_for(timeout=20).json["success"]


def test_a_refused_subscription_is_reported(tmp_path: Path, terminal: SimulatedTerminal) -> None:
    with (
        Aedes(tmp_path / "aedes", forbidden=CREATE) as broker,
        Daemon(
            tmp_path / "d", broker.port, {"principal": device(terminal)}, mqtt={"protocol": "3.1.1"}, covered=False
        ) as daemon,
    ):
        wait_until(lambda: f"the broker refuses the subscription to {CREATE} " in daemon.log)


RIGHTS = "user 'b'; page"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def check(clock: Clock) -> SubscriptionCheck:
    return SubscriptionCheck({CREATE: CREATE_PROBE, STATE: STATE}, spoken=[STATE, INFO], rights=RIGHTS, clock=clock)


def test_only_topics_without_other_messages_are_probed(check: SubscriptionCheck) -> None:
    assert check.begin() == [CREATE_PROBE]


def test_the_bridges_own_words_are_no_commands_and_a_callers_are(check: SubscriptionCheck) -> None:
    check.begin()

    assert check.take(CREATE_PROBE, PROBE)
    assert check.take(INFO, PROBE)  # of `zkbridge check`
    assert check.take(INFO, b'{"version":"1","instance":"9f86d081"}')
    assert not check.take(INFO, b"{}")
    assert not check.take(INFO, b"")
    assert not check.take(INFO, b'{"instance":1}')
    assert not check.take(CREATE_PROBE, b'{"user_id":"1"}')
    assert not check.take("zk/principal/users/create", PROBE)


def test_an_echo_that_came_is_not_waited_for(
    check: SubscriptionCheck, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    check.begin()
    check.take(CREATE_PROBE, PROBE)
    check.take(STATE, b"{}")
    clock.now += ECHO_S
    assert check.look() == []

    assert caplog.text == ""
    assert check.wait_s() == float("inf")
    assert check.unserved_subscriptions == []


def test_an_unserved_subscription_is_logged_once_tried_again_and_its_end_is_logged(
    check: SubscriptionCheck, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    check.begin()
    check.take(STATE, b"{}")
    for _ in range(3):
        clock.now += ECHO_S
        assert check.look() == []
        assert check.unserved_subscriptions == [CREATE]
        clock.now += AGAIN_S
        assert check.look() == [CREATE_PROBE]
    assert caplog.text.count("deaf to") == 1

    check.take(CREATE_PROBE, PROBE)

    assert check.unserved_subscriptions == []
    assert f"commands on {CREATE} are heard again" in caplog.text


def test_what_stands_before_the_echo_is_waited_for_but_not_for_ever(
    check: SubscriptionCheck, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    check.begin()
    began = clock.now
    while clock.now < began + PATIENCE_S:
        assert check.look() == []
        assert "deaf" not in caplog.text
        check.take("zk/principal/users/create", b"{}")
        clock.now += ECHO_S - 1
    check.look()

    assert "deaf" in caplog.text


def test_a_broker_that_hangs_up_on_the_try_is_not_tried_for_ever(
    check: SubscriptionCheck, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(HANG_UPS):
        assert check.begin() == [CREATE_PROBE]
        check.end()
    assert "it is not tried again" in caplog.text

    assert check.begin() == []
    check.take(STATE, b"{}")
    clock.now += ECHO_S
    check.look()
    assert "deaf" not in caplog.text


def test_a_broker_that_once_restarted_is_tried_again(check: SubscriptionCheck) -> None:
    for _ in range(HANG_UPS):
        check.begin()
        check.end()
        check.begin()
        assert check.confirmed(CREATE_PROBE, None)
        check.end()

    assert check.begin() == [CREATE_PROBE]


def test_a_refused_subscription_is_not_reported_as_granted(
    check: SubscriptionCheck, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert check.begin(refused=[CREATE]) == []
    check.take(STATE, b"{}")
    clock.now += ECHO_S
    check.look()

    assert "deaf" not in caplog.text
    assert check.unserved_subscriptions == [CREATE]
    assert check.begin() == [CREATE_PROBE]
    assert check.unserved_subscriptions == []


def test_a_refused_try_leaves_nothing_to_wait_for(
    check: SubscriptionCheck, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    check.begin()
    check.take(STATE, b"{}")
    assert check.confirmed(CREATE_PROBE, "Not authorized")
    assert not check.confirmed("zk/principal/availability", "Not authorized")
    clock.now += ECHO_S
    check.look()

    assert "deaf" not in caplog.text
    assert f"refuses what is published on {CREATE_PROBE} (Not authorized)" in caplog.text


def test_a_broker_that_hung_up_at_another_message_is_tried_again(check: SubscriptionCheck) -> None:
    for _ in range(HANG_UPS):
        check.begin()
        check.end()
    check.begin()
    check.end(innocent=True)

    assert check.begin() == [CREATE_PROBE]


REPLY, STATES = "zk/bridge/ping/reply", "zk/bridge/availability"


@pytest.fixture
def publishing(clock: Clock) -> SubscriptionCheck:
    return SubscriptionCheck(
        {CREATE: CREATE_PROBE},
        published={REPLY: "replies", STATES: "states of devices"},
        rights=RIGHTS,
        clock=clock,
    )


def test_publishing_is_tried_only_where_a_puback_reports_no_refusal(publishing: SubscriptionCheck) -> None:
    assert publishing.begin() == [CREATE_PROBE]
    assert publishing.begin(tells_refusals=False) == [STATES, REPLY, CREATE_PROBE]
    assert publishing.begin(tells_refusals=False, refused=[REPLY]) == [STATES, CREATE_PROBE]
    assert publishing.unserved_subscriptions == []


def test_each_kind_that_is_not_taken_has_a_sentence_and_no_command_is_called_unheard(
    publishing: SubscriptionCheck, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    publishing.begin(tells_refusals=False)
    publishing.take(CREATE_PROBE, PROBE)
    for _ in range(2):
        clock.now += ECHO_S
        publishing.look()
        clock.now += AGAIN_S
        assert publishing.look() == [STATES, REPLY]

    assert publishing.untaken == [STATES, REPLY]
    assert publishing.unserved_subscriptions == []
    assert (
        caplog.text.count(f"replies may reach nobody: the broker confirms what the bridge publishes on {REPLY} ") == 1
    )
    assert caplog.text.count("states of devices may reach nobody: the broker confirms what the bridge") == 1
    assert "deaf" not in caplog.text

    assert publishing.take(REPLY, PROBE)
    assert publishing.untaken == [STATES]
    assert f"replies are taken on {REPLY} again" in caplog.text
