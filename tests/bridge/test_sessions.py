"""How requests share a session, and what people at the terminal notice of it."""

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import asked, wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Command, SimulatedTerminal, Simulator, TerminalConfig

COMMAND = "zk/p/users/create"
REPLY = f"{COMMAND}/reply"


def user(number: int, **more: Any) -> str:
    return json.dumps({"user_id": str(number), "name": f"User {number}", **more})


def answers(caller: Caller, count: int, timeout: int = 60) -> list[Any]:
    return [caller.wait_for(REPLY, timeout=timeout).json for _ in range(count)]


def publish_at_once(caller: Caller, payloads: list[str]) -> None:
    """Without waiting for each PUBACK."""
    for payload in payloads:
        caller._client.publish(COMMAND, payload, 1)


def test_a_burst_shares_sessions(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> None:
    terminal.fill_users(500)
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        publish_at_once(caller, [user(number) for number in range(100_000, 100_200)])
        said = answers(caller, 200)

    assert {answer["code"] for answer in said} == {"created"}
    assert len(terminal.users()) == 700
    assert len({u.uid for u in terminal.users()}) == 700
    sessions = terminal.connections_accepted
    assert sessions <= 20
    for once in (Command.DISABLE, Command.ENABLE, Command.REFRESHDATA, Command.EXIT):
        assert terminal.counts[once] == sessions
    assert terminal.counts[Command.GET_FREE_SIZES] == 2 * sessions
    assert max(terminal.disabled_spans()) < 2 + 3
    assert daemon.log.count("answered request") == 200


def test_a_session_ends_when_its_budget_is_used_up(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    terminal.fill_users(1)
    terminal.latency = 0.05
    daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, session_budget=0.5)
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        publish_at_once(caller, [user(number) for number in range(10, 40)])
        said = answers(caller, 30)

    assert {answer["code"] for answer in said} == {"created"}
    assert terminal.connections_accepted > 2
    assert max(terminal.disabled_spans()) < 0.5 + 1


def test_a_request_that_comes_while_the_bridge_stops_is_answered_busy_and_may_come_again(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    terminal.latency = 0.3
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.publish(COMMAND, user(7))
        wait_until(lambda: terminal.disabled, what="the terminal to be asked")

        os.kill(daemon.pid, signal.SIGTERM)
        numbers = itertools.count(10)

        def is_told_to_come_again() -> bool:
            number = next(numbers)
            caller.publish(COMMAND, user(number, request_id=f"r-{number}"))
            return any(m.json.get("code") == "busy" for m in caller.messages if m.topic == REPLY)

        wait_until(is_told_to_come_again, timeout=20, what="an answer while the bridge stops")
        assert daemon.wait() == 0
        late = next(m.json for m in caller.messages if m.topic == REPLY and m.json["code"] == "busy")
        assert (late["status"], late["retryable"], late["retry_after_s"]) == (503, True, 10)
        assert late["error"] == "El puente se está deteniendo; intente de nuevo en 10 s."
        number = late["request_id"].removeprefix("r-")
        assert number not in [each.user_id for each in terminal.users()]

        terminal.latency = 0
        daemon.start()
        caller.publish(COMMAND, user(number, request_id=late["request_id"]))
        caller.wait_for(REPLY, lambda m: m.json.get("request_id") == late["request_id"] and m.json["status"] == 200)

    assert {"7", number} <= {each.user_id for each in terminal.users()}


def test_a_request_that_expires_in_the_queue_is_answered_and_not_executed(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    terminal.latency = 1  # so that the first takes five seconds more from here on
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.publish(COMMAND, user(7))
        wait_until(lambda: terminal.disabled, what="the terminal to be asked")
        soon = datetime.now(UTC) + timedelta(seconds=4)
        caller.publish(COMMAND, user(8, expires_at=soon.isoformat()))
        wait_until(lambda: daemon.log.count("kept request=") == 2, what="the second to be kept in time")
        said = answers(caller, 2)

    assert [(answer["status"], answer["code"]) for answer in said] == [(200, "created"), (408, "expired")]
    assert [each.user_id for each in terminal.users()] == ["7"]


def test_requests_for_one_user_in_one_burst_have_one_winner(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}), Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        publish_at_once(caller, [user(7, card=number) for number in range(30)])
        said = answers(caller, 30)

    assert sorted(answer["code"] for answer in said) == ["created"] + ["user_exists"] * 29
    assert len(terminal.users()) == 1


def test_a_full_queue_is_answered_busy_and_the_rest_is_done(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    terminal.fill_users(1)
    terminal.latency = 0.02
    daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, queue_limit=20)
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        publish_at_once(caller, [user(number, request_id=f"r{number}") for number in range(10, 110)])
        said = answers(caller, 100)
        busy = [answer for answer in said if answer["code"] == "busy"]
        assert busy
        assert {answer["code"] for answer in said} == {"created", "busy"}
        assert all(
            (a["status"], a["retryable"]) == (503, True) and a["retry_after_s"] >= 1 and "request_id" in a for a in busy
        )
        again = busy[0]["request_id"]
        caller.publish(COMMAND, user(again[1:], request_id=again))
        assert answers(caller, 1)[0]["code"] == "created"

    assert len(terminal.users()) == 1 + (100 - len(busy)) + 1


def test_a_person_at_the_keypad_is_not_written_over(tmp_path: Path, broker: Mosquitto, simulator: Simulator) -> None:
    """DISABLE is acknowledged without effect, and somebody adds a user while the table is read."""
    terminal = simulator.add(TerminalConfig(profile="tft", disable_without_effect=True))
    terminal.fill_users(50)
    terminal.faults.add(
        on="FREE_DATA", when="after", do=lambda _: terminal.add_user("4711", "Keypad")
    )  # the table has been read, the count has not
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}), Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.publish(COMMAND, user(900))
        assert answers(caller, 1)[0]["code"] == "created"

    assert {"4711", "900"} <= {u.user_id for u in terminal.users()}
    assert len(terminal.users()) == 52


class TestWhatIsPlannedWhileTheTerminalFreesItsTable:
    """A terminal that is known has its table read ahead of the count that proves it; here DISABLE has no effect."""

    @pytest.fixture
    def terminal(self, simulator: Simulator) -> SimulatedTerminal:
        made = simulator.add(TerminalConfig(profile="tft", disable_without_effect=True))
        made.fill_users(50)
        return made

    @pytest.fixture
    def caller(self, tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> Iterator[Caller]:
        with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}), Caller(broker.port) as caller:
            caller.subscribe("zk/#")
            caller.publish(COMMAND, user(900))
            assert answers(caller, 1)[0]["code"] == "created"
            wait_for_session_end(terminal)
            yield caller

    def test_a_person_who_is_added_meanwhile_is_not_written_over(
        self, terminal: SimulatedTerminal, caller: Caller
    ) -> None:
        terminal.faults.add(on="FREE_DATA", when="after", do=lambda _: terminal.add_user("4711", "Keypad"))

        caller.publish(COMMAND, user(901))

        assert answers(caller, 1)[0]["code"] == "created"
        assert {"4711", "900", "901"} <= {u.user_id for u in terminal.users()}
        assert len({u.uid for u in terminal.users()}) == 53

    @pytest.mark.parametrize(
        "then",
        [None, {"on": "GET_FREE_SIZES"}, {"on": "PREPARE_BUFFER", "skip": 1}],
        ids=["the count shows it", "no count comes", "it cannot be read anew"],
    )
    def test_a_user_who_was_just_deleted_is_not_reported_as_existing(
        self, terminal: SimulatedTerminal, caller: Caller, then: dict[str, Any] | None
    ) -> None:
        """However far the conversation gets after the table has been read."""
        terminal.faults.add(on="FREE_DATA", when="after", do=lambda _: terminal.delete_user("7"))
        if then:
            terminal.faults.add(**then, when="before", do="close")

        publish_at_once(caller, [user(7), user(8)])

        assert sorted(answer["code"] for answer in answers(caller, 2)) == ["created", "user_exists"]
        assert [u.uid for u in terminal.users() if u.user_id == "7"] == [52]
        assert len(terminal.users()) == 51

    def test_it_is_planned_once_where_the_count_proves_it(self, terminal: SimulatedTerminal, caller: Caller) -> None:
        caller.publish(COMMAND, user(901))

        assert answers(caller, 1)[0]["code"] == "created"
        wait_for_session_end(terminal)
        assert asked(terminal)[-8:] == [
            "READ_BUFFER",
            "FREE_DATA",
            "GET_FREE_SIZES",
            "USER_WRQ",
            "REFRESHDATA",
            "GET_FREE_SIZES",
            "ENABLE",
            "EXIT",
        ]


def test_a_table_that_is_read_slowly_is_not_trusted_once_people_could_get_in(
    tmp_path: Path, broker: Mosquitto, simulator: Simulator
) -> None:
    terminal = simulator.add(TerminalConfig(profile="tft", piece_delay=1.2))
    terminal.fill_users(2500)  # three pieces: longer than the terminal is disabled for
    added = threading.Event()

    def keypad(_: object) -> None:
        if not added.is_set():
            added.set()
            terminal.add_user("4711", "Keypad")

    terminal.faults.add(on="FREE_DATA", when="after", do=keypad)
    slow = device(terminal, timeout=2)
    daemon = Daemon(tmp_path / "d", broker.port, {"p": slow}, session_budget=0.5)
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.publish(COMMAND, user(99_000))
        assert answers(caller, 1)[0]["code"] == "created"

    assert {"4711", "99000"} <= {u.user_id for u in terminal.users()}
    assert len(terminal.users()) == 2502
    assert terminal.counts[Command.DISABLE] >= 2


def test_a_terminal_that_could_not_be_enabled_is_enabled_first_thing_later(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    """It takes no connection any more in mid-session, after it was told to keep people out for good."""
    terminal.switches.timed_disable = "refuse"
    terminal.fill_users(1)
    terminal.faults.add(on="USER_WRQ", when="after", do="reset")
    terminal.faults.add(on="CONNECT", when="before", do="close", skip=1, count=1000)
    daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal, timeout=20)}, retry={"attempts": 1})
    with daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.publish(COMMAND, user(5))
        answer = answers(caller, 1)[0]
        assert answer["code"] in ("device_unreachable", "device_timeout")
        assert answer["effect"] == "unknown"
        assert terminal.disabled
    assert terminal.disabled
    terminal.faults.clear()

    with daemon:
        wait_until(lambda: not terminal.disabled, what="the pending enable to be carried out")


def test_the_lock_holds_between_two_bridges_on_one_machine(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    terminal.fill_users(1)
    terminal.latency = 0.01
    locks = str(tmp_path / "locks")
    shared: dict[str, Any] = {"lock_dir": locks, "session_budget": 0.1}
    first = Daemon(tmp_path / "one", broker.port, {"p": device(terminal)}, **shared)
    second = Daemon(tmp_path / "two", broker.port, {"p": device(terminal)}, mqtt={"base_topic": "zk2"}, **shared)
    with first, second, Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        caller.subscribe("zk2/#")
        for number in range(10, 40):
            caller._client.publish(COMMAND if number % 2 else "zk2/p/users/create", user(number), 1)
        for number in range(10, 40):
            topic = REPLY if number % 2 else "zk2/p/users/create/reply"
            assert caller.wait_for(topic, timeout=60).json["code"] == "created"

    uids = [u.uid for u in terminal.users()]
    assert len(uids) == len(set(uids)) == 31
    in_order = [connection for connection, _ in itertools.groupby(exchange.connection for exchange in terminal.log)]
    assert len(in_order) == len(set(in_order)) > 2, "two connections at once"
