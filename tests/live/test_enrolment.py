"""A finger is enrolled on a terminal that is listened to: over the connection that is held, and no punch is lost."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.live.test_bridge import EVENTS, NINE, PATIENCE_S, hears, wait_for
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Command, SimulatedTerminal

ENROL = "zk/p/users/enroll-finger"
BODY = {"user_id": "3", "finger_index": 6, "timeout": 60}


@pytest.fixture(params=[("tft", "tcp"), ("bw", "udp")], ids="-".join)
def live(
    request: pytest.FixtureRequest, tmp_path: Path, broker: Mosquitto, start: Callable[..., SimulatedTerminal]
) -> Iterator[tuple[Daemon, SimulatedTerminal, Caller]]:
    """A daemon that listens, a caller, and the terminal: it lets one client in at a time, and forgets a silent one."""
    profile, transport = request.param
    terminal = start(profile, transport=transport, second_connection="refuse", enrolment="wait", idle_timeout=6)
    settings = device(terminal, transport=transport, attendance="live")
    with Daemon(tmp_path / "d", broker.port, {"p": settings}) as daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#", no_local=True)
        hears(daemon)
        yield daemon, terminal, caller


def begin(caller: Caller, **more: Any) -> None:
    """Ask, and return when the terminal has asked for the finger."""
    caller.publish(ENROL, {**BODY, **more})
    caller.wait_for(f"{ENROL}/progress", lambda message: message.json["step"] == "ready", timeout=PATIENCE_S)


def punch(terminal: SimulatedTerminal, user_id: str, minute: int) -> None:
    """Somebody punches; at the sensor while a finger is waited for, by card."""
    assert terminal.punch(user_id, verify=15, when=NINE + timedelta(minutes=minute))


def users(told: list[dict[str, Any]]) -> list[Any]:
    return [event["user_id"] for event in told]


def test_before_during_and_after_each_punch_is_published_once_and_in_order(live: tuple[str, str]) -> None:
    daemon, terminal, caller = live
    punch(terminal, "1", 0)
    wait_for(caller, 1)
    begin(caller)
    for minute in range(1, 6):
        punch(terminal, "2", minute)
    terminal.enrol("good")

    assert caller.wait_for(f"{ENROL}/reply", timeout=PATIENCE_S).json["code"] == "enrolled"
    punch(terminal, "3", 6)
    told = wait_for(caller, 7)
    caller.publish("zk/p/users/fingers", {"user_id": "3"})
    assert caller.wait_for("zk/p/users/fingers/reply", timeout=PATIENCE_S).json["total_fingers"] == 1

    assert users(told) == ["1", "2", "2", "2", "2", "2", "3"]
    assert len([message for message in caller.messages if message.topic == EVENTS]) == 7
    assert terminal.connections_accepted == 1
    assert "lost" not in daemon.log


def test_a_cancelled_one_gives_the_terminal_back_to_the_listener(live: tuple[str, str]) -> None:
    _daemon, terminal, caller = live
    begin(caller)
    punch(terminal, "1", 0)
    caller.publish(f"{ENROL}/cancel", {})

    assert caller.wait_for(f"{ENROL}/reply", timeout=PATIENCE_S).json["code"] == "enroll_cancelled"
    wait_until(lambda: not terminal.machine.terminal.enrolling, what="the end of capture mode")
    punch(terminal, "2", 1)
    assert users(wait_for(caller, 2)) == ["1", "2"]


def test_killed_in_the_middle_nothing_is_lost(live: tuple[str, str]) -> None:
    daemon, terminal, caller = live
    begin(caller, request_id="e")
    punch(terminal, "1", 0)
    daemon.kill()
    punch(terminal, "2", 1)
    daemon.start()

    assert caller.wait_for(f"{ENROL}/reply", timeout=PATIENCE_S).json["code"] == "enroll_interrupted"
    punch(terminal, "4", 2)
    told = wait_for(caller, 3)
    assert users(told) == ["1", "2", "4"]
    assert terminal.counts[Command.STARTENROLL] == 1
