"""The door opens once, in time, and for whoever may: through kills, retries, redeliveries and replays."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.site import freeze, thaw
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Command, Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal

TOPIC = "zk/p/door/unlock"
REPLY = f"{TOPIC}/reply"
#: The frames of one door/unlock.
FRAMES = ("CONNECT", "UNLOCK", "EXIT")


@pytest.fixture
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig(profile="tft"))


def bridge(
    folder: Path, broker: Mosquitto, terminal: SimulatedTerminal, *, max_age: float = 10.0, **more: Any
) -> Daemon:
    door = {"enabled": True, "max_age": max_age, "trust_clock": True}
    return Daemon(folder / "d", broker.port, {"p": device(terminal, timeout=1, door=door)}, **more)


def openings(terminal: SimulatedTerminal) -> list[str]:
    """Each time the door was opened, as a list that grows."""
    seen = []
    terminal.listen(lambda text: seen.append(text) if text.startswith("door open") else None)
    return seen


@pytest.mark.parametrize("said", [("es", "Puerta abierta."), ("en", "Door opened.")])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_door_opens_for_as_long_as_asked(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, transport: str, said: tuple[str, str]
) -> None:
    language, sentence = said
    seen = openings(terminal)
    daemon = bridge(tmp_path, broker, terminal, language=language)
    daemon.config["devices"]["p"]["transport"] = transport
    with daemon, Caller(broker.port) as caller:
        caller.subscribe(REPLY)
        caller.publish(TOPIC, {"seconds": 5})
        answer = caller.wait_for(REPLY).json
        caller.publish(TOPIC, b"")
        assert caller.wait_for(REPLY).json["code"] == "unlocked"

    assert answer == {
        "success": True,
        "message": sentence,
        "data": {"device_id": "p"},
        "status": 200,
        "code": "unlocked",
    }
    assert seen == ["door open for 5 s", "door open for 3 s"]
    assert terminal.counts[Command.DISABLE] == terminal.counts[Command.PREPARE_BUFFER] == 0


def test_the_door_stays_shut_until_it_is_allowed(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as _, Caller(broker.port) as caller:
        caller.subscribe(REPLY)
        caller.publish(TOPIC, {})
        answer = caller.wait_for(REPLY).json

    assert (answer["status"], answer["code"]) == (403, "forbidden")
    assert terminal.counts[Command.CONNECT] == 0


@pytest.mark.parametrize("seconds", [0, 61, -1, True, "x", 1.5, "", [], {}])
def test_odd_seconds_are_refused(door_site: tuple[Caller, SimulatedTerminal], seconds: object) -> None:
    caller, terminal = door_site
    before = terminal.counts[Command.UNLOCK]
    caller.publish(TOPIC, {"seconds": seconds})
    answer = caller.wait_for(REPLY).json

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert [fault["field"] for fault in answer["errors"]] == ["seconds"]
    assert terminal.counts[Command.UNLOCK] == before


@pytest.fixture(scope="module")
def door_site(
    tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto
) -> Iterator[tuple[Caller, SimulatedTerminal]]:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        daemon = bridge(tmp_path_factory.mktemp("door"), shared_broker, terminal)
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe(REPLY)
            yield caller, terminal


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("frame", FRAMES)
def test_a_bridge_killed_at_any_frame_never_opens_it_twice_or_late(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, frame: str, when: str
) -> None:
    seen = openings(terminal)
    daemon = bridge(tmp_path, broker, terminal, covered=False)
    with daemon, Caller(broker.port) as caller:
        caller.subscribe(REPLY)
        # It is frozen at that frame, and killed while it is.
        terminal.faults.add(on=frame, when=when, do=lambda _: daemon.pause())
        caller.publish(TOPIC, {"request_id": "r"})
        wait_until(lambda: not terminal.faults.waiting(), what="the frame")
        daemon.kill()
        opened = len(seen)
        daemon.start()
        answer = caller.wait_for(REPLY, timeout=20).json
        caller.publish(TOPIC, {"request_id": "r"})
        # The first answer may come once more before: the kill may have come before its confirmation was noted.
        again = caller.wait_for(REPLY, lambda message: message.json.get("replayed")).json

    assert len(seen) == opened <= 1, "it opened after the restart"
    # The signal may come a moment late, when the next frame is under way; what is said is true in any case.
    assert answer["code"] in ({"unlocked", "outcome_unknown"} if opened else {"expired", "outcome_unknown"})
    assert again == {**answer, "replayed": True}


@pytest.mark.parametrize("fault", ["close", "reset", "silence", "garbage"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_unlock_is_not_asked_again(
    door_site: tuple[Caller, SimulatedTerminal], fault: str, when: str
) -> None:
    caller, terminal = door_site
    seen = openings(terminal)
    before = terminal.counts[Command.UNLOCK]
    terminal.faults.add(on="UNLOCK", when=when, do=fault)
    caller.publish(TOPIC, {})
    answer = caller.wait_for(REPLY, timeout=20).json
    wait_for_session_end(terminal)

    assert (answer["status"], answer["code"]) == (500, "outcome_unknown")
    assert (answer["retryable"], answer["effect"]) == (False, "unknown")
    assert terminal.counts[Command.UNLOCK] == before + 1
    assert len(seen) <= 1


def test_a_terminal_that_comes_back_too_late_opens_no_door(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    terminal.faults.add(on="CONNECT", when="before", do="silence", count=2)
    retry = {"attempts": 5, "initial_delay": 0.3, "max_delay": 0.5, "deadline": 15}
    with bridge(tmp_path, broker, terminal, max_age=1, retry=retry), Caller(broker.port) as caller:
        caller.subscribe(REPLY)
        caller.publish(TOPIC, {})
        answer = caller.wait_for(REPLY, timeout=20).json

    assert (answer["status"], answer["code"]) == (408, "expired")
    assert terminal.counts[Command.UNLOCK] == 0


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_waited_at_the_broker_opens_no_door(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, protocol: str
) -> None:
    daemon = bridge(tmp_path, broker, terminal, mqtt={"protocol": protocol})
    with Caller(broker.port) as caller:
        caller.subscribe(REPLY)
        with daemon:
            pass
        for _ in range(30):  # more than a broker has under way at once
            caller.publish(TOPIC, {"request_id": str(uuid.uuid4())})
        with daemon:
            codes = {caller.wait_for(REPLY, timeout=20).json["code"] for _ in range(30)}
            wait_until(lambda: _unlocked(caller), what="the door to obey again")

    assert codes == {"expired"}
    assert terminal.counts[Command.UNLOCK] == 1


def _unlocked(caller: Caller) -> bool:
    caller.publish(TOPIC, {"seconds": 1})
    return caller.wait_for(REPLY).json["code"] == "unlocked"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_retained_request_and_its_clearing_open_no_door(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, protocol: str
) -> None:
    with Caller(broker.port) as caller:
        caller.subscribe(REPLY)
        caller.publish(TOPIC, {}, retain=True)
        with bridge(tmp_path, broker, terminal, mqtt={"protocol": protocol}):
            if protocol == "3.1.1":  # MQTT 5 brings none when a subscription is new
                assert caller.wait_for(REPLY).json["code"] == "retained_refused"
            caller.publish(TOPIC, b"", retain=True)
            assert caller.wait_for(REPLY).json["code"] in ("retained_refused", "body_required")

    assert terminal.counts[Command.UNLOCK] == 0


def test_a_replayed_request_id_is_answered_and_opens_nothing(door_site: tuple[Caller, SimulatedTerminal]) -> None:
    caller, terminal = door_site
    before = terminal.counts[Command.UNLOCK]
    body = json.dumps({"request_id": "once"})
    for number in range(5):
        caller.publish(TOPIC, body)
        answer = caller.wait_for(REPLY).json
        assert answer["code"] == "unlocked"
        assert answer.get("replayed", False) == (number > 0)

    assert terminal.counts[Command.UNLOCK] == before + 1


@pytest.mark.parametrize("who", ["the bridge", "the broker"])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_waited_while_something_stood_still_opens_no_door(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal, who: str, protocol: str
) -> None:
    """Nobody sees a connection break: the request comes as if it had just been sent."""
    max_age_s = 2
    daemon = bridge(tmp_path, broker, terminal, max_age=max_age_s, mqtt={"protocol": protocol})
    with daemon, Caller(broker.port) as caller:
        caller.subscribe(REPLY)
        caller.subscribe("zk/p/ping/reply")
        assert _unlocked(caller)
        caller.publish("zk/p/ping", {})  # it stands behind the first echo
        caller.wait_for("zk/p/ping/reply")
        stands = daemon if who == "the bridge" else broker
        freeze(stands)
        sent = time.monotonic()
        caller.send(TOPIC, {"request_id": "late"})
        time.sleep(max_age_s + 0.5)  # the standstill itself: longer than the door allows
        thaw(stands)
        answer = caller.wait_for(REPLY, lambda message: message.json.get("request_id") == "late", timeout=20).json
        assert time.monotonic() - sent < 10
        wait_until(lambda: _unlocked(caller), what="the door to obey again")

    assert (answer["status"], answer["code"]) == (408, "expired")
    assert terminal.counts[Command.UNLOCK] == 2
