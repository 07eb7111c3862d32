"""A daemon that is stopped in mid-session, as an overloaded machine may do, finds its terminal in use by people."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

ANA = {"user_id": "777", "name": "Ana", "request_id": "r-1"}
COMMAND = "zk/p/users/create"


@pytest.fixture
def terminal(simulator: Simulator) -> SimulatedTerminal:
    terminal = simulator.add(TerminalConfig())
    terminal.fill_users(20)
    return terminal


@pytest.fixture
def create_stopped_at(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> Callable[..., dict[str, Any]]:
    """Ask for Ana; the daemon stands still from a frame on, until people are let in and have done something."""

    def create(frame: str, meanwhile: Callable[[], object]) -> dict[str, Any]:
        daemon = Daemon(tmp_path / "daemon", broker.port, {"p": device(terminal, timeout=1)}, session_budget=0.5)
        stopped = threading.Event()

        def stop(_: object) -> None:
            daemon.pause()
            stopped.set()

        with daemon, Caller(broker.port) as caller:
            caller.subscribe(f"{COMMAND}/reply")
            terminal.faults.add(frame, "after", stop)
            caller.publish(COMMAND, ANA)
            assert stopped.wait(10)
            wait_until(lambda: not terminal.disabled, what="the terminal to enable itself")
            meanwhile()
            daemon.resume()
            return caller.wait_for(f"{COMMAND}/reply").json

    return create


@pytest.mark.parametrize("frame", ["READ_BUFFER", "GET_FREE_SIZES", "OPTIONS_RRQ"])
def test_a_user_who_was_added_at_the_keypad_meanwhile_is_not_overwritten(
    terminal: SimulatedTerminal, create_stopped_at: Callable[..., dict[str, Any]], frame: str
) -> None:
    added = []

    reply = create_stopped_at(frame, lambda: added.append(terminal.add_user("900", "Guardia")))

    assert reply["code"] == "created"
    users = {user.user_id: user for user in terminal.users()}
    assert [users["900"]] == added
    assert users["777"].uid != users["900"].uid
    assert not terminal.disabled


@pytest.mark.parametrize("frame", ["READ_BUFFER", "GET_FREE_SIZES"])
def test_a_count_that_has_not_changed_does_not_vouch_for_the_table(
    terminal: SimulatedTerminal, create_stopped_at: Callable[..., dict[str, Any]], frame: str
) -> None:
    """One was added and another deleted: as many users as before, and the next uid is taken."""

    def replace_somebody() -> None:
        terminal.add_user("900", "Guardia")
        terminal.delete_user("1")

    reply = create_stopped_at(frame, replace_somebody)

    assert reply["code"] == "created"
    assert {"777", "900"} <= {user.user_id for user in terminal.users()}


def test_the_time_to_be_disabled_counts_from_the_asking_not_from_a_late_answer(
    terminal: SimulatedTerminal, create_stopped_at: Callable[..., dict[str, Any]]
) -> None:
    """What was answered long ago is over by now, though the answer has just been read."""

    def come_at_the_worst_time(_: object) -> None:
        if not terminal.disabled:
            terminal.add_user("900", "Guardia")

    terminal.faults.add("USER_WRQ", "before", come_at_the_worst_time)

    reply = create_stopped_at("DISABLE", lambda: None)

    assert reply["code"] == "created"
    assert [user.user_id for user in terminal.users()][20:] == ["777"], "people were let in while a user was written"


def test_a_write_that_has_its_effect_late_does_not_overwrite_a_user_who_was_added_meanwhile(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    """The terminal is at work on it for longer than the bridge waits; whoever comes next takes the next uid."""

    def come(_: object) -> None:
        with terminal.keypad() as usable:
            if usable and len(terminal.users()) < 22:
                terminal.add_user("900", "Guardia")

    terminal.faults.add("USER_WRQ", "before", "late", delay=2.5)
    terminal.faults.add("ENABLE", "after", come, count=2)
    settings = {"p": device(terminal, timeout=1)}
    daemon = Daemon(tmp_path / "daemon", broker.port, settings, session_budget=0.5)
    with daemon, Caller(broker.port) as caller:
        caller.subscribe(f"{COMMAND}/reply")
        caller.publish(COMMAND, ANA)
        assert caller.wait_for(f"{COMMAND}/reply").json["code"] == "created"
        wait_until(lambda: not terminal.disabled, what="the terminal to be enabled")

    users = [user.user_id for user in terminal.users()][20:]
    assert sorted(users) == ["777", "900"]


def test_killed_again_and_again_people_are_let_in_before_the_next_request(
    tmp_path: Path, broker: Mosquitto, simulator: Simulator
) -> None:
    """A terminal that takes no time for being disabled stays so until it is told; each start tells it, first of all."""
    terminal = simulator.add(TerminalConfig(switches={"timed_disable": "refuse"}))
    daemon = Daemon(tmp_path / "daemon", broker.port, {"p": device(terminal, timeout=1)})
    kills, stopped = 4, threading.Semaphore(0)

    def stop(_: object) -> None:
        daemon.pause()
        stopped.release()

    with daemon, Caller(broker.port) as caller:
        caller.subscribe(f"{COMMAND}/reply")
        terminal.faults.add("GET_FREE_SIZES", "before", stop, count=kills)
        caller.publish(COMMAND, ANA)
        for _ in range(kills):
            assert stopped.acquire(timeout=20)
            assert terminal.disabled
            daemon.kill()
            daemon.start(online=False)
        assert caller.wait_for(f"{COMMAND}/reply", timeout=30).json["code"] == "created"
        wait_until(lambda: not terminal.disabled, what="the terminal to be enabled")

    assert len(terminal.disabled_spans()) > kills, "one time of being disabled went on over a kill"
