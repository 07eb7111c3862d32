"""An enrolment that is broken off: the bridge killed or stopped, the terminal lost, the request brought twice.

It is never begun a second time, and the answer is what the terminal's template store says.
"""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.fake_broker import FakeBroker
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.bridge.bridge import Bridge
from zkbridge.config import loader
from zkbridge.simulator import Command, Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.worker import conversation_deadline

ENROL = "zk/p/users/enroll-finger"
CANCEL = f"{ENROL}/cancel"
BODY = {"user_id": "5", "finger_index": 6, "timeout": 60, "request_id": "e"}
OLD = b"an older finger's template"
KINDS = [("tft", "tcp"), ("bw", "udp")]  # both records, both transports


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def terminal(kind: tuple[str, str]) -> Iterator[SimulatedTerminal]:
    """With user 5; whoever is asked for a finger does not come."""
    profile, transport = kind
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile=profile, transport=transport, enrolment="wait"))
        terminal.add_user("5", "Ana")
        yield terminal


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, kind: tuple[str, str]) -> Daemon:
    return Daemon(
        tmp_path / "d", broker.port, {"p": device(terminal, transport=kind[1], timeout=1)}, language="en", covered=False
    )


@pytest.fixture
def caller(broker: Mosquitto) -> Iterator[Caller]:
    with Caller(broker.port) as caller:
        caller.subscribe("zk/#", no_local=True)
        yield caller


one_kind = pytest.mark.parametrize("kind", [("tft", "tcp")], ids=["tft-tcp"], indirect=True)


def begin(caller: Caller, **more: Any) -> None:
    """Ask, and return when the terminal has asked for the finger."""
    caller.publish(ENROL, {**BODY, **more})
    caller.wait_for(f"{ENROL}/progress", lambda message: message.json["step"] == "ready")


def answer(caller: Caller, topic: str = ENROL, request_id: str = "e") -> dict[str, Any]:
    reply = caller.wait_for(f"{topic}/reply", lambda m: m.json.get("request_id") == request_id, timeout=30)
    return reply.json


def not_enrolled(**more: Any) -> dict[str, Any]:
    return {
        "success": False,
        "error": "The enrolment was interrupted and the fingerprint is not enrolled; ask for it again."
        + (" The earlier fingerprint is lost." if more else ""),
        "status": 500,
        "code": "enroll_interrupted",
        "retryable": True,
        **more,
        "request_id": "e",
    }


def test_after_a_kill_it_is_not_begun_again_and_is_answered_interrupted(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    with daemon:
        begin(caller)
        daemon.kill()
        daemon.start()

        assert answer(caller) == not_enrolled()

    assert terminal.counts[Command.STARTENROLL] == 1
    assert not terminal.machine.terminal.enrolling
    assert terminal.counts[Command.DISABLE] == 0


@one_kind
def test_a_caller_who_asks_again_after_an_interruption_has_it_begun(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    with daemon:
        begin(caller)
        daemon.kill()
        daemon.start()
        assert answer(caller) == not_enrolled()
        caller.publish("zk/p/ping", {})  # what the broker brings again comes before it
        caller.wait_for("zk/p/ping/reply")

        begin(caller)
        caller.publish(CANCEL, {})

        assert answer(caller)["code"] == "enroll_cancelled"

    assert terminal.counts[Command.STARTENROLL] == 2


@one_kind
def test_after_a_kill_a_finger_that_was_stored_is_a_success(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    with daemon:
        begin(caller)
        daemon.kill()
        terminal.add_template("5", 6)
        daemon.start()

        assert answer(caller)["code"] == "enrolled"

    assert terminal.counts[Command.STARTENROLL] == 1


@one_kind
def test_a_finger_to_be_replaced_is_lost_by_a_kill_and_the_answer_has_that(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    terminal.add_template("5", 6, OLD)
    with daemon:
        begin(caller, overwrite=True)
        daemon.kill()
        daemon.start()

        assert answer(caller) == not_enrolled(old_finger_lost=True)
        assert OLD not in b"".join(path.read_bytes() for path in daemon.folder.rglob("*") if path.is_file())


@one_kind
def test_a_kill_before_the_old_finger_was_deleted_leaves_it(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    terminal.add_template("5", 6, OLD)
    with daemon:
        terminal.faults.add("DEL_USER_TEMP", "before", lambda _: daemon.pause())
        caller.publish(ENROL, {**BODY, "overwrite": True})
        wait_until(lambda: not terminal.faults.waiting(), what="the frame")
        daemon.kill()
        if not terminal.templates():  # the signal came a moment late
            terminal.add_template("5", 6, OLD)
        daemon.start()

        assert answer(caller) == not_enrolled()

    assert [template.data for template in terminal.templates().values()] == [OLD]


@one_kind
def test_a_cancel_that_waited_for_the_bridge_counts(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    with daemon:
        begin(caller)
        daemon.kill()
        caller.publish(CANCEL, {"request_id": "c"})
        # What waited for the bridge is there a moment after it; until then the terminal keeps it busy.
        terminal.faults.add(
            "CANCELCAPTURE",
            "before",
            lambda _: wait_until(lambda: "request_id=c" in daemon.log, timeout=20, what="the cancel to be kept"),
        )
        daemon.start()

        assert answer(caller)["code"] == "enroll_cancelled"
        assert answer(caller, CANCEL, "c")["code"] == "cancelled"

    assert terminal.counts[Command.STARTENROLL] == 1


@one_kind
def test_a_cancel_that_comes_after_the_answer_finds_nothing_to_end(daemon: Daemon, caller: Caller) -> None:
    with daemon:
        begin(caller)
        daemon.kill()
        daemon.start()

        assert answer(caller) == not_enrolled()
        caller.publish(CANCEL, {"request_id": "c"})
        assert answer(caller, CANCEL, "c")["code"] == "enroll_not_found"


@pytest.mark.parametrize("how", ["reset", "silent"])
def test_a_terminal_that_lost_its_power_is_looked_at_when_it_is_back(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal, how: str
) -> None:
    terminal.add_template("5", 6, OLD, flag=3)
    before = terminal.templates()
    with daemon:
        begin(caller, overwrite=True, timeout=2)
        terminal.power_off(how)
        terminal.power_on()

        assert answer(caller) == not_enrolled()

    assert terminal.templates() == before
    assert terminal.counts[Command.STARTENROLL] == 1


def test_a_finger_stored_while_the_connection_broke_is_a_success(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    with daemon:
        begin(caller)
        terminal.faults.add("CANCELCAPTURE", "after", "silence")
        terminal.enrol("good")

        assert answer(caller)["code"] == "enrolled"

    assert terminal.counts[Command.STARTENROLL] == 1
    assert len(terminal.templates()) == 1


@one_kind
def test_a_terminal_that_stays_away_leaves_it_unknown_and_fails_no_other_request(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    daemon.config["retry"]["attempts"] = 2
    with daemon:
        begin(caller, timeout=2)
        caller.publish("zk/p/ping", {"request_id": "p"})
        wait_until(lambda: "command=ping" in daemon.log)
        terminal.faults.add("CONNECT", "before", "silence", count=1)
        terminal.power_off("reset")
        terminal.power_on()

        said = answer(caller)
        assert answer(caller, "zk/p/ping", "p")["success"]

    assert (said["code"], said["retryable"], said["effect"]) == ("device_timeout", True, "unknown")


@one_kind
def test_a_stop_ends_it_at_once_and_the_answer_has_the_reason(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    terminal.add_template("5", 6, OLD)
    before = terminal.templates()
    with daemon:
        begin(caller, timeout=300, overwrite=True)
        caller.publish("zk/p/users/enroll-finger", {"user_id": "5", "finger_index": 1, "request_id": "next"})
        wait_until(lambda: "request_id=next" in daemon.log)
        assert daemon.stop(timeout=20) == 0

        said = answer(caller)
        assert (said["code"], said["retryable"]) == ("enroll_interrupted", True)
        assert said["error"].startswith("The enrolment was interrupted because the bridge is stopping")
        assert terminal.templates() == before
        assert not terminal.machine.terminal.enrolling
        # What has never begun is begun by the next run.
        terminal.switches.enrolment = "good"
        daemon.start()
        assert answer(caller, request_id="next")["code"] == "enrolled"


@one_kind
def test_a_reload_that_changes_the_device_ends_it_and_one_that_does_not_leaves_it(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    with daemon:
        begin(caller, timeout=300)
        path = daemon.folder / "config.yaml"
        other = {"host": "127.0.0.1", "port": 9}
        path.write_text(json.dumps({**daemon.config, "devices": {**daemon.config["devices"], "q": other}}))
        daemon._process.send_signal(signal.SIGHUP)
        caller.wait_for("zk/bridge/info", lambda message: message.json["devices"] == ["p", "q"])
        assert terminal.machine.terminal.enrolling

        changed = {**daemon.config["devices"]["p"], "timeout": 2}
        path.write_text(json.dumps({**daemon.config, "devices": {"p": changed, "q": other}}))
        daemon._process.send_signal(signal.SIGHUP)

        assert answer(caller)["code"] == "enroll_interrupted"
        assert not terminal.machine.terminal.enrolling


@one_kind
def test_a_request_that_waits_for_an_enrolment_neither_fails_nor_expires(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    daemon.config["retry"] = {**daemon.config["retry"], "deadline": 0.5}
    with daemon:
        begin(caller)
        began = time.monotonic()
        for number in range(5):
            caller.publish("zk/p/ping", {"request_id": f"p{number}"})
        wait_until(lambda: time.monotonic() > began + 1, what="more than the deadline")
        terminal.enrol("good")

        assert answer(caller)["code"] == "enrolled"
        assert [answer(caller, "zk/p/ping", f"p{number}")["code"] for number in range(5)] == ["ok"] * 5


@one_kind
def test_a_cancel_does_not_wait_for_a_terminal_that_cannot_be_reached(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    daemon.config["devices"]["p"]["timeout"] = 30
    terminal.faults.add("CONNECT", "before", "silence")
    with daemon:
        caller.publish(ENROL, BODY)
        wait_until(lambda: not terminal.faults.waiting(), what="the terminal to be called")
        caller.publish(CANCEL, {"request_id": "c"})

        assert answer(caller, CANCEL, "c")["code"] == "cancelled"
        assert answer(caller)["code"] == "enroll_cancelled"
        terminal.power_off()

    assert terminal.counts[Command.STARTENROLL] == 0
    assert daemon.log.count("code=enroll_cancelled") == 1


@one_kind
def test_a_full_queue_keeps_no_cancel_out(daemon: Daemon, caller: Caller) -> None:
    daemon.config["queue_limit"] = 2
    with daemon:
        begin(caller)
        caller.publish("zk/p/ping", {"request_id": "p"})
        caller.publish("zk/p/ping", {"request_id": "q"})
        assert answer(caller, "zk/p/ping", "q")["code"] == "busy"
        caller.publish(CANCEL, {"request_id": "c"})

        assert answer(caller, CANCEL, "c")["success"]
        assert answer(caller)["code"] == "enroll_cancelled"
        assert answer(caller, "zk/p/ping", "p")["success"]


@one_kind
def test_a_person_who_takes_long_is_no_sign_of_a_bridge_that_hangs(
    tmp_path: Path, broker: Mosquitto, caller: Caller, terminal: SimulatedTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_deadline, "GRACE_S", 0)
    daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, retry={"deadline": 0.5}, covered=False)
    (tmp_path / "d" / "config.yaml").write_text(json.dumps(daemon.config))
    bridge = Bridge(loader.load(tmp_path / "d" / "config.yaml", {}))
    bridge.start()
    try:
        assert bridge.online.wait(10)
        begin(caller)
        began = time.monotonic()
        while time.monotonic() < began + 1:
            assert bridge.is_well()
        terminal.enrol("good")
        assert answer(caller)["code"] == "enrolled"
    finally:
        bridge.stop()


@one_kind
def test_a_terminal_that_was_left_disabled_is_enabled_first(
    daemon: Daemon, caller: Caller, terminal: SimulatedTerminal
) -> None:
    terminal.switches.enrolment = "good"
    terminal.switches.timed_disable = "refuse"
    terminal.faults.add("ENABLE", "before", "silence", count=2)
    with daemon:
        caller.publish("zk/p/users/create", {"user_id": "6", "name": "Eva", "request_id": "u"})
        caller.publish(ENROL, {**BODY, "timeout": 10})

        assert answer(caller, "zk/p/users/create", "u")["code"] == "created"
        assert answer(caller)["code"] == "enrolled"

    assert not terminal.disabled


@pytest.mark.parametrize("again", ["connection", "daemon"])
def test_a_request_that_a_broker_brings_twice_begins_once_and_its_cancel_ends_nothing_else(
    tmp_path: Path, again: str
) -> None:
    """RabbitMQ brings again what it has seen no acknowledgement of under another packet id."""
    with FakeBroker() as broker, Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(enrolment="wait"))
        terminal.add_user("5", "Ana")
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, mqtt={"protocol": "3.1.1"}, covered=False)
        body = json.dumps({"user_id": "5", "finger_index": 6}).encode()
        daemon.start(online=False)
        try:
            broker.wait_for_client()
            broker.deliver(ENROL, body, mid=7)
            broker.replies(f"{ENROL}/progress", 1)
            broker.deliver(CANCEL, b"{}", mid=8)
            (cancelled,) = broker.replies(f"{ENROL}/reply", 1)
            (cancel,) = broker.replies(f"{CANCEL}/reply", 1)

            connections, broker.session = len(broker.subscribed), True
            if again == "daemon":
                daemon.kill()
                daemon.start(online=False)
            else:
                broker.drop()
            broker.wait_for_client(connections + 1)
            broker.deliver(ENROL, body, mid=9)
            broker.deliver(CANCEL, b"{}", mid=10)

            # After a kill the first answer may come once more before: it was perhaps not noted as confirmed.
            for topic, first in ((ENROL, cancelled), (CANCEL, cancel)):
                replayed = {**json.loads(first), "replayed": True}
                wait_until(lambda t=f"{topic}/reply", r=replayed: r in _said(broker, t), timeout=30, what=topic)
                assert all(said in (json.loads(first), replayed) for said in _said(broker, f"{topic}/reply"))
        finally:
            daemon.kill()
        assert terminal.counts[Command.STARTENROLL] == 1


def _said(broker: FakeBroker, topic: str) -> list[Any]:
    return [json.loads(one.payload) for one in list(broker.published) if one.topic == topic]
