"""A broker that dies, hangs, refuses, forgets, repeats itself, or belongs to somebody else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.frames import FRAMES, FrameOf
from tests.faults.site import Site, freeze, new_site, thaw
from tests.faults.thinned import thinned
from tests.support.daemon import Daemon
from tests.support.fake_broker import FakeBroker
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

CONNECT, WRITE, LAST = FRAMES[0], FRAMES[8], FRAMES[-1]
#: A reply may be confirmed by a broker that forgets it before it has handed it on: then the caller asks again.
PROTOCOLS = ["5", "3.1.1"]


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto that writes down what it holds."""
    with Mosquitto(tmp_path / "mosquitto", persistence=True) as broker:
        yield broker


@pytest.mark.parametrize(
    ("frame", "protocol", "with_id"),
    thinned([CONNECT, WRITE, LAST], PROTOCOLS, [True, False]),
    ids=lambda value: value.name if isinstance(value, FrameOf) else None,
)
def test_a_killed_broker_costs_no_answer_and_doubles_nothing(
    tmp_path: Path, lasting: Mosquitto, frame: FrameOf, protocol: str, with_id: bool
) -> None:
    with new_site(tmp_path, lasting.port, protocol=protocol) as site, site.caller() as caller:
        site.daemon.start()
        killed = site.at(frame, lasting.kill, effect=True)
        request = site.user(request_id="r-1") if with_id else site.user()

        caller.publish(site.topic(), request)
        assert killed.wait(20)
        lasting.start()

        answers = site.settle(caller)
        # A broker that was killed may bring the message again: that copy hears the same.
        assert {answer.json["code"] for answer in answers} == {"created"}
        # An answer whose confirmation died with the broker may come once more as it was.
        assert all(answer.json.get("replayed") or answer.payload == answers[0].payload for answer in answers[1:])
        site.check(request)


def test_a_broker_that_is_away_at_the_start_is_waited_for(tmp_path: Path, broker: Mosquitto) -> None:
    with new_site(tmp_path, broker.port) as site:
        broker.stop()
        site.daemon.start(online=False)
        wait_until(lambda: "no connection to the broker" in site.daemon.log, timeout=30)
        assert site.daemon.running

        broker.start()

        wait_until(lambda: "connected to" in site.daemon.log, timeout=30)
        with site.caller() as caller:
            request = site.user()
            caller.publish(site.topic(), request)
            assert site.settle(caller)[0].json["code"] == "created"
            site.check(request)


def test_a_broker_that_hangs_for_a_while_gets_the_answer_when_it_goes_on(tmp_path: Path, broker: Mosquitto) -> None:
    with new_site(tmp_path, broker.port) as site, site.caller() as caller:
        site.daemon.start()
        frozen = site.at(WRITE, lambda: freeze(broker), effect=True)
        request = site.user()
        caller.publish(site.topic(), request)
        assert frozen.wait(20)
        wait_until(lambda: site.query("SELECT 1 FROM requests WHERE reply IS NOT NULL"), timeout=30)
        wait_for_session_end(site.terminal)  # the reply is on disk before the terminal is enabled

        thaw(broker)

        answers = site.settle(caller)
        assert [answer.json["code"] for answer in answers] == ["created"]
        site.check(request)


def test_a_broker_that_is_slow_in_everything_gets_each_answer_once(tmp_path: Path) -> None:
    with FakeBroker(slow_s=0.3) as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start()
        requests = [site.user() for _ in range(3)]
        for mid, request in enumerate(requests, 1):
            broker.deliver(site.topic(), json.dumps(request).encode(), mid=mid)

        answers = _answers(broker, site, 3)

        assert [answer["data"]["user_id"] for answer in answers] == [request["user_id"] for request in requests]
        assert broker.connections == 1
        site.check(*requests)


def test_a_broker_that_refuses_the_login_is_named_and_tried_again(tmp_path: Path, broker: Mosquitto) -> None:
    broker.users = {"bridge": "right"}
    broker.restart()
    mqtt = {"username": "bridge", "password": "wrong-one"}
    with new_site(tmp_path, broker.port, mqtt=mqtt) as site:
        site.daemon.start(online=False)
        wait_until(lambda: site.daemon.log.count("refused: Not authorized") > 1, timeout=30)
        assert site.daemon.running
        assert "wrong-one" not in site.daemon.log

        broker.users = None
        broker.restart()

        wait_until(lambda: "connected to" in site.daemon.log, timeout=60)


def test_a_broker_that_closes_at_once_is_tried_less_and_less_and_then_used(tmp_path: Path) -> None:
    with FakeBroker(connack=None) as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start(online=False)
        wait_until(lambda: broker.connections >= 4, timeout=60)
        assert site.daemon.running
        # 4 attempts need at least half of 0.5, 1 and 2 seconds of pauses; the last is in the log after its connection.
        stamps = wait_until(lambda: _failures_in(site.daemon.log), timeout=60, what="four failures in the log")
        assert (stamps[3] - stamps[0]) % 60 > 1.7

        broker.connack = 0

        broker.wait_for_client()
        broker.deliver(site.topic(), b"{}", mid=1)
        broker.replies(f"{site.topic()}/reply", 1)


def _failures_in(log: str) -> list[float]:
    """The seconds at which connections failed, once there are four."""
    stamps = re.findall(r"^\S+ \d+:\d+:(\d+,\d+) .*no connection", log, re.MULTILINE)
    return [float(stamp.replace(",", ".")) for stamp in stamps] if len(stamps) >= 4 else []


def test_two_daemons_with_one_client_id_log_that_and_do_not_reconnect_for_ever(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with new_site(tmp_path, broker.port) as site:
        mqtt = {**site.daemon.config["mqtt"]}
        site.daemon.start()
        with Daemon(tmp_path / "twin", broker.port, site.daemon.config["devices"], mqtt=mqtt) as twin:
            logs = (site.daemon, twin)
            wait_until(
                lambda: any(f"using the client id '{mqtt['client_id']}'" in one.log for one in logs),
                timeout=60,
                what="a line about the other client",
            )
            connections = len(re.findall(f"as {mqtt['client_id']}", broker.log))
            assert connections < 20
            assert site.daemon.running
            assert twin.running


def test_a_broker_that_cannot_be_understood_is_not_taken_for_another_client(tmp_path: Path) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start()
        for connection in (1, 2, 3):
            broker.wait_for_client(connection)
            broker.confuse()

        broker.wait_for_client(4)

        request = site.user()
        broker.deliver(site.topic(), json.dumps(request).encode(), mid=1)
        assert [answer["code"] for answer in _answers(broker, site, 1)] == ["created"]
        assert "using the client id" not in site.daemon.log


# -- redelivery, packet by packet ------------------------------------------------------------------------------------


def _answers(broker: FakeBroker, site: Site, count: int) -> list[dict[str, Any]]:
    """So many answers, and no more once nothing is owed."""
    topic = f"{site.topic()}/reply"
    broker.replies(topic, count)
    site.wait(lambda: not site.owed(), "the ledger to owe nothing")
    return [json.loads(reply) for reply in broker.replies(topic, count)]


REDELIVERIES: dict[str, dict[str, Any]] = {
    "with DUP on the same connection": {"mid": 7, "duplicate": True},
    "with DUP on the next connection": {"mid": 7, "duplicate": True, "again": "connection"},
    "with DUP after a kill of the daemon": {"mid": 7, "duplicate": True, "again": "daemon"},
}


@pytest.mark.parametrize(("how", "with_id"), thinned(REDELIVERIES, [True, False]))
def test_a_redelivered_message_is_acknowledged_and_not_answered_twice(tmp_path: Path, how: str, with_id: bool) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start(online=False)
        broker.wait_for_client()
        request = site.user(request_id="r-1") if with_id else site.user()
        payload = json.dumps(request).encode()
        broker.deliver(site.topic(), payload, mid=7)
        _answers(broker, site, 1)

        second = dict(REDELIVERIES[how])
        again = second.pop("again", None)
        _come_again(broker, site, again)
        broker.deliver(site.topic(), payload, **second)
        wait_until(lambda: 7 in broker.acknowledged[-1][again is None :], timeout=20, what="the second PUBACK")

        assert [answer["code"] for answer in _answers(broker, site, 1)] == ["created"]
        site.check(request)


@pytest.mark.parametrize(
    ("again", "duplicate", "with_id"), thinned(["connection", "daemon"], [True, False], [True, False])
)
def test_a_message_under_another_packet_id_gets_the_stored_reply(
    tmp_path: Path, again: str, duplicate: bool, with_id: bool
) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start(online=False)
        broker.wait_for_client()
        request = site.user(request_id="r-1") if with_id else site.user()
        payload = json.dumps(request).encode()
        broker.deliver(site.topic(), payload, mid=7)
        (first,) = _answers(broker, site, 1)

        _come_again(broker, site, again)
        broker.deliver(site.topic(), payload, mid=8, duplicate=duplicate)

        assert _answers(broker, site, 2)[1] == {**first, "replayed": True}
        site.check(request)


@pytest.mark.parametrize(("again", "duplicate"), [("connection", False), ("daemon", True)])
def test_a_failure_is_not_carried_out_by_a_redelivery_but_when_its_caller_asks_again(
    tmp_path: Path, again: str, duplicate: bool
) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start(online=False)
        broker.wait_for_client()
        request = site.user(request_id="r-1")
        payload = json.dumps(request).encode()
        site.terminal.power_off()
        broker.deliver(site.topic(), payload, mid=7)
        (first,) = _answers(broker, site, 1)
        broker.session = True  # so that it may bring messages again

        site.terminal.power_on()
        _come_again(broker, site, again)
        broker.deliver(site.topic(), payload, mid=8, duplicate=duplicate)
        assert _answers(broker, site, 2)[1] == {**first, "replayed": True}
        broker.deliver(site.topic(), payload, mid=9)
        third = _answers(broker, site, 3)[2]

        assert (first["retryable"], first["effect"]) == (True, "none")
        assert (third["code"], "replayed" in third) == ("created", False)
        site.check(request)


def test_a_message_that_only_shares_its_packet_id_is_a_request_of_its_own(tmp_path: Path) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start(online=False)
        broker.wait_for_client()
        requests = [site.user(), site.user()]
        for request in requests:
            broker.deliver(site.topic(), json.dumps(request).encode(), mid=7, duplicate=True)

        answers = _answers(broker, site, 2)

        assert [answer["data"]["user_id"] for answer in answers] == [request["user_id"] for request in requests]
        site.check(*requests)


def test_the_same_request_twice_on_one_connection_is_asked_twice(tmp_path: Path) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        site.daemon.start(online=False)
        broker.wait_for_client()
        request = site.user()
        for mid in (7, 8):
            broker.deliver(site.topic(), json.dumps(request).encode(), mid=mid)

        assert [answer["code"] for answer in _answers(broker, site, 2)] == ["created", "user_exists"]


def test_what_the_broker_brings_for_another_bridge_s_device_is_acknowledged_and_left_to_it(tmp_path: Path) -> None:
    """It had it before it heard that the device has left us."""
    mqtt = {"unknown_devices": "ignore"}
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1", mqtt=mqtt) as site:
        site.daemon.start(online=False)
        broker.wait_for_client()
        broker.deliver(site.topic("otra"), json.dumps(site.user()).encode(), mid=7)
        wait_until(lambda: 7 in broker.acknowledged[-1], timeout=30, what="the PUBACK")
        broker.deliver(site.topic(), json.dumps(site.user()).encode(), mid=8)

        assert [answer["code"] for answer in _answers(broker, site, 1)] == ["created"]
        assert not [one for one in broker.published if one.topic.startswith(f"{site.name}/otra/")]


def test_a_reply_that_a_broker_does_not_confirm_is_sent_again_on_the_next_connection(tmp_path: Path) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        broker.unconfirmed.add(f"{site.topic()}/reply")
        site.daemon.start(online=False)
        broker.wait_for_client()
        request = site.user()
        broker.deliver(site.topic(), json.dumps(request).encode(), mid=7)
        broker.replies(f"{site.topic()}/reply", 1)
        assert site.owed() == 1

        broker.unconfirmed.clear()
        broker.drop()

        answers = _answers(broker, site, 2)
        assert answers[0] == answers[1]
        site.check(request)


def _come_again(broker: FakeBroker, site: Site, what: str | None) -> None:
    connections = len(broker.subscribed)
    if what == "connection":
        broker.drop()
    elif what == "daemon":
        site.daemon.kill()
        site.daemon.start(online=False)
    else:
        return
    broker.wait_for_client(connections + 1)


# -- replies that the broker does not take -----------------------------------------------------------------------------

ACL = """\
user caller
topic readwrite #
user bridge
topic read {base}/+/users/create
topic readwrite {base}/bridge/#
topic write {base}/+/availability
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto with a login for the bridge and one for callers, and an ACL that the test sets."""
    users = {"bridge": "secret-b", "caller": "secret-c"}
    with Mosquitto(tmp_path / "mosquitto", persistence=True, users=users, acl="user caller\ntopic readwrite #\n") as m:
        yield m


def _allow(broker: Mosquitto, text: str) -> None:
    broker.acl = text
    broker.restart()


def test_a_reply_refused_by_an_acl_goes_to_the_default_topic_or_waits_until_it_may(
    tmp_path: Path, guarded: Mosquitto
) -> None:
    mqtt = {"username": "bridge", "password": "secret-b"}
    with new_site(tmp_path, guarded.port, mqtt=mqtt) as site:
        acl = ACL.format(base=site.name)
        reply = f"topic write {site.name}/+/users/create/reply\n"
        _allow(guarded, acl + reply)
        site.daemon.start()
        with site.caller(username="caller", password="secret-c") as caller:
            request = site.user()
            caller.publish(site.topic(), request, response_topic=f"{site.name}/replies/me", correlation_data=b"\0\xff")
            (answer,) = site.settle(caller)
            assert answer.topic == f"{site.topic()}/reply"
            assert (answer.json["code"], answer.correlation_data) == ("created", b"\0\xff")

            _allow(guarded, acl)
            wait_until(lambda: site.daemon.log.count("connected to") == 2, timeout=30)
            wait_until(lambda: caller.connected, timeout=30)
            second = site.user()
            caller.publish(site.topic(), second)
            site.wait(lambda: "refused by the broker" in site.daemon.log, "the refusal in the log", 30)
            site.wait(lambda: site.owed() == 1, "only the refused one to be owed")

            _allow(guarded, acl + reply)

            assert site.settle(caller, 2)[1].json["data"]["user_id"] == second["user_id"]
            site.check(request, second)


@pytest.mark.parametrize("limit", ["max_packet_size", "message_size_limit"])
def test_a_reply_that_is_too_large_for_the_broker_holds_up_no_other_and_is_answered_in_short(
    tmp_path: Path, limit: str
) -> None:
    broker = Mosquitto(tmp_path / "mosquitto", persistence=True, **{limit: 1000})  # type: ignore[arg-type]  # one of its numbers
    with broker, new_site(tmp_path, broker.port) as site, site.caller() as caller:
        site.daemon.start()
        # The request fits; its reply repeats the request_id and says of each field, twice, what is wrong.
        wrong = {f"unknown{number}": 0 for number in range(20)}
        large = {"user_id": "1", "name": "Ana", "request_id": "x" * 128, **wrong}
        caller.publish(site.topic(), large)
        small = site.user()
        caller.publish(site.topic(), small)

        site.wait(
            lambda: {answer.json["code"] for answer in site.heard(caller)} == {"created", "reply_too_large"}, "it", 30
        )

        short = next(answer.json for answer in site.heard(caller) if answer.json["code"] == "reply_too_large")
        assert short["reply"] == {"success": False, "status": 400, "code": "invalid_field"}
        assert site.daemon.log.count(" connected to ") == 1
        site.settle(caller)
        site.check(small)
