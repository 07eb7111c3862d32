"""`kill -9`, SIGTERM and SIGSTOP of the daemon, at every frame and at every step of the ledger."""

import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.frames import ALWAYS, FRAMES, FrameOf
from tests.faults.site import Break, Site, freeze, new_site, new_terminal, thaw
from tests.faults.thinned import thinned
from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.fake_broker import FakeBroker
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol.deadline import Deadline

KILLED = -9
WRITE = next(frame for frame in FRAMES if frame.name == "write")
LAST = FRAMES[-1]
#: Frames that the terminal hears while the answers are kept and sent already.
GOODBYE = FRAMES[-2:]
#: Protocol, and whether the request has a request_id.
KINDS = [("5", True), ("3.1.1", False), ("5", False), ("3.1.1", True)]

MOMENTS = list(itertools.product(FRAMES, (False, True)))
#: Every frame in every run, before or after its effect by turns; the rest, with each kind of request, in the long run.
KILLS = [
    pytest.param(frame, effect, kind, id=f"{frame.name}-{effect}-{kind[0]}-{kind[1]}", marks=marks)
    for number, (frame, effect) in enumerate(MOMENTS)
    for turn, kind in enumerate(KINDS)
    for marks in [() if turn == number % len(KINDS) and number % 4 in {0, 3} else pytest.mark.slow]
]

STEPS = [
    Break(f"zkbridge.{step}", "kill", when=when, nth=nth)
    # What is remembered first is the broker's, and what is scrubbed first is what an earlier run left.
    for step, nth in (
        ("intake.intake:Intake._keep", 1),
        ("ledger.ledger:Ledger.running", 1),
        ("ledger.facts:Facts.remember", 2),
        ("ledger.ledger:Ledger.finish", 1),
        ("ledger.unsent_replies:UnsentReplies.sent", 1),
        ("ledger.ledger:Ledger.scrub", 2),
    )
    for when in ("before", "after")
]


def _step_id(value: object) -> str | None:
    return f"{value.when} {value.at.rpartition('.')[2]}" if isinstance(value, Break) else None


def _request(site: Site, *, with_id: bool) -> dict[str, Any]:
    return site.user(request_id="r-1") if with_id else site.user()


def _assert_created_once(site: Site, caller: Caller, request: dict[str, Any], *, most: int = 1) -> None:
    """One success; where the broker may have had it and the ledger not the confirmation, perhaps again as it was."""
    answers = site.settle(caller)
    assert 1 <= len(answers) <= most, site.daemon.log
    assert {answer.payload for answer in answers} == {answers[0].payload}
    assert (answers[0].json["status"], answers[0].json["code"]) == (200, "created"), site.daemon.log
    assert answers[0].json.get("request_id") == request.get("request_id")
    site.check(request)


@pytest.mark.parametrize(("frame", "effect", "kind"), KILLS)
def test_a_kill_at_any_frame_ends_with_one_success_and_one_user(
    tmp_path: Path, shared_broker: Mosquitto, frame: FrameOf, effect: bool, kind: tuple[str, bool]
) -> None:
    protocol, with_id = kind
    with new_site(tmp_path, shared_broker.port, protocol=protocol) as site, site.caller() as caller:
        site.daemon.start()
        killed = site.kill_at(frame, effect=effect)
        request = _request(site, with_id=with_id)

        caller.publish(site.topic(), request)
        assert site.daemon.wait() == KILLED
        assert killed.wait(10)
        site.daemon.start()

        _assert_created_once(site, caller, request, most=2 if frame in GOODBYE else 1)


@pytest.mark.parametrize(("step", "with_id"), thinned(STEPS, [True, False]), ids=_step_id)
def test_a_kill_at_any_step_of_the_ledger_ends_with_one_success_and_one_user(
    tmp_path: Path, shared_broker: Mosquitto, step: Break, with_id: bool
) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.make_daemon(step).start()
        request = _request(site, with_id=with_id)

        caller.publish(site.topic(), request)
        assert site.daemon.wait() == KILLED
        site.make_daemon().start()

        unconfirmed = (step.when, step.at) == ("before", "zkbridge.ledger.unsent_replies:UnsentReplies.sent")
        _assert_created_once(site, caller, request, most=2 if unconfirmed else 1)


@pytest.mark.parametrize("number", range(4))
def test_a_kill_as_soon_as_the_broker_has_the_message_loses_nothing(
    tmp_path: Path, shared_broker: Mosquitto, number: int
) -> None:
    protocol, with_id = KINDS[number]
    with new_site(tmp_path, shared_broker.port, protocol=protocol) as site, site.caller() as caller:
        site.daemon.start()
        request = _request(site, with_id=with_id)

        caller.publish(site.topic(), request)
        site.daemon.kill()
        site.daemon.start()

        _assert_created_once(site, caller, request)


def test_a_reply_that_was_never_confirmed_comes_again_as_it_was(tmp_path: Path) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        broker.unconfirmed.add(f"{site.topic()}/reply")
        site.daemon.start()
        request = site.user()
        broker.deliver(site.topic(), json.dumps(request).encode(), mid=1)
        replies = broker.replies(f"{site.topic()}/reply", 1)

        site.daemon.kill()
        broker.unconfirmed.clear()
        site.daemon.start()

        replies = broker.replies(f"{site.topic()}/reply", 2)
        assert replies[0] == replies[1]
        assert json.loads(replies[0])["code"] == "created"
        site.check(request)


def test_a_kill_after_the_reply_was_confirmed_sends_nothing_again(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.start()
        request = site.user(request_id="r-1")
        caller.publish(site.topic(), request)
        site.settle(caller)

        site.daemon.kill()
        site.daemon.start()

        _assert_created_once(site, caller, request)
        caller.publish(site.topic(), request)
        first, second = (answer.json for answer in site.settle(caller, 2))
        assert second == {**first, "replayed": True}


def test_a_user_id_that_was_taken_meanwhile_is_a_409(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.start()
        request = site.user()
        site.at(WRITE, lambda: site.terminal.add_user(request["user_id"], "Eva"), effect=False)

        caller.publish(site.topic(), request)

        assert [answer.json["code"] for answer in site.settle(caller)] == ["user_exists"]
        assert [user.name for user in site.terminal.users() if user.user_id == request["user_id"]] == ["Eva"]


def test_a_terminal_that_a_kill_left_disabled_is_enabled_first(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.start()
        site.kill_at(WRITE, effect=True)
        caller.publish(site.topic(), site.user())
        assert site.daemon.wait() == KILLED
        assert site.terminal.disabled

        site.daemon.start()

        site.settle(caller)
        wait_until(lambda: not site.terminal.disabled)
        assert max(site.terminal.disabled_spans()) < 2 + 2 + 1  # the budget, one answer, and a slow start


def _many(site: Site, caller: Caller, count: int) -> list[dict[str, Any]]:
    requests = [site.user() for _ in range(count)]
    for request in requests:
        caller.publish(site.topic(), request)
    return requests


def _all_created(site: Site, caller: Caller, requests: list[dict[str, Any]]) -> None:
    answers = site.settle(caller, len(requests))
    created = sorted(answer.json["data"]["user_id"] for answer in answers if answer.json["success"])
    assert created == sorted(request["user_id"] for request in requests), [answer.json for answer in answers]
    assert len(answers) == len(requests)
    site.check(*requests)


def _terminate_once_kept(site: Site, count: int) -> None:
    """What comes after SIGTERM is told so; what was kept before is what must not be lost."""
    wait_until(lambda: site.daemon.log.count("kept request=") == count, what="the requests to be kept")
    os.kill(site.daemon.pid, signal.SIGTERM)


@pytest.mark.parametrize("frame", [FRAMES[0], WRITE, LAST], ids=lambda frame: frame.name)
def test_sigterm_in_mid_request_loses_nothing(tmp_path: Path, shared_broker: Mosquitto, frame: FrameOf) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.start()
        terminated = site.at(frame, lambda: _terminate_once_kept(site, 3), effect=True)
        requests = _many(site, caller, 3)
        assert terminated.wait(20)
        assert site.daemon.wait(timeout=15) == 0
        assert not site.terminal.disabled

        site.daemon.start()

        _all_created(site, caller, requests)


def test_sigterm_in_a_back_off_ends_at_once_and_loses_nothing(tmp_path: Path, shared_broker: Mosquitto) -> None:
    retry = {"initial_delay": 60, "max_delay": 60, "deadline": 300}
    with new_site(tmp_path, shared_broker.port, retry=retry) as site, site.caller() as caller:
        site.daemon.start()
        site.terminal.faults.add(WRITE.command, "after", "close")
        request = site.user()
        caller.publish(site.topic(), request)
        wait_until(lambda: "attempt 1 of" in site.daemon.log)

        assert site.daemon.stop(timeout=10) == 0

        site.more.pop("retry")
        site.make_daemon().start()
        _all_created(site, caller, [request])


def test_sigterm_with_a_full_queue_ends_soon_and_loses_nothing(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with new_site(tmp_path, shared_broker.port, queue_limit=200) as site, site.caller() as caller:
        site.terminal.latency = 0.05
        site.daemon.start()
        requests = _many(site, caller, 150)
        # A request that arrives after SIGTERM is refused; this test is about those that were kept before.
        wait_until(lambda: site.daemon.log.count("kept request=") == len(requests), what="the requests to be kept")
        wait_until(lambda: site.terminal.users()[3:], what="a first user")

        assert site.daemon.stop(timeout=15) == 0
        done = len(site.terminal.users()) - 3
        assert done < len(requests)
        # What is done is answered before the end, not at the next start.
        wait_until(lambda: len(caller.messages) == done, timeout=5, what=f"{done} answers")
        assert not site.terminal.disabled

        site.terminal.latency = 0
        site.daemon.start()
        _all_created(site, caller, requests)


def test_sigterm_among_dead_terminals_and_with_a_broker_that_hangs_ends_and_loses_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Each of them is waited for once at most, and all at the same time."""
    with Simulator() as simulator:
        terminals = {name: new_terminal(simulator) for name in ("alive", "mute", "deaf", "gone", "slow")}
        terminals["mute"].faults.add("USER_WRQ", "after", "silence", count=ALWAYS)
        terminals["deaf"].faults.add("CONNECT", "before", "silence", count=ALWAYS)
        terminals["gone"].power_off()
        terminals["slow"].latency = 0.3
        site = Site(tmp_path, broker.port, terminals, more={"queue_limit": 60, "retry": {"deadline": 60}})
        with site.caller() as caller, site.daemon:
            asked = {f"{name} {number}": name for name in terminals for number in range(30)}
            for request_id, name in asked.items():
                caller.publish(site.topic(name), site.user(request_id=request_id))
            site.wait(lambda: terminals["alive"].users()[3:], "a first user")
            freeze(broker)

            assert site.daemon.stop(timeout=55) == 0, "it waited for something that would not come"
            assert "is still being talked to" not in site.daemon.log

            thaw(broker)
            for terminal in terminals.values():
                terminal.faults.clear()
                terminal.latency = 0
            terminals["gone"].power_on()
            site.daemon.start()
            answers = [answer.json for answer in site.settle(caller, len(asked), timeout=120)]

        # What the broker could not confirm before the end comes twice, as it was.
        by_request = {answer["request_id"]: answer for answer in answers}
        assert by_request.keys() == asked.keys()
        assert all(answer == by_request[answer["request_id"]] for answer in answers)
        # Some had used up their attempts before the end, some came while it was ending.
        codes = {answer["code"] for answer in answers}
        assert "created" in codes
        assert codes <= {"created", "device_timeout", "device_unreachable", "busy"}
        created = [answer["data"]["user_id"] for answer in by_request.values() if answer["success"]]
        there = [user.user_id for terminal in terminals.values() for user in terminal.users()[3:]]
        assert sorted(created) == sorted(there)


def test_sigterm_does_not_wait_for_a_terminal_that_another_process_uses(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with new_site(tmp_path, shared_broker.port, retry={"deadline": 300}) as site, site.caller() as caller:
        site.daemon.start()
        address = f"{site.terminal.host}:{site.terminal.port}"
        lock_dir = Path(site.daemon.config["lock_dir"])
        request = site.user()
        with hold(address, lock_dir=lock_dir, deadline=Deadline.after(10)):
            caller.publish(site.topic(), request)
            site.wait(lambda: "kept request" in site.daemon.log, "the request to be kept")

            assert site.daemon.stop(timeout=40) == 0

        site.make_daemon().start()
        _all_created(site, caller, [request])


def test_a_daemon_that_stood_still_for_longer_than_the_keepalive_goes_on(tmp_path: Path, broker: Mosquitto) -> None:
    mqtt = {"keepalive": 5}
    with new_site(tmp_path, broker.port, mqtt=mqtt) as site, site.caller() as caller:
        daemon: Daemon = site.daemon
        daemon.start()
        site.at(WRITE, lambda: freeze(daemon), effect=True)
        requests = _many(site, caller, 2)
        # The broker drops whoever is silent for one and a half times the keepalive.
        wait_until(lambda: "exceeded timeout" in broker.log, timeout=30)
        requests += _many(site, caller, 1)

        thaw(daemon)

        _all_created(site, caller, requests)
        assert daemon.running
