"""A group's request through kills, stops and redeliveries: each member once, and one answer that is true."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.groups.plant import PATIENCE_S, user, users_of
from tests.support.daemon import Daemon, device
from tests.support.fake_broker import FakeBroker
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig


@pytest.mark.parametrize(
    ("member", "frame", "when"),
    [
        ("principal", "CONNECT", "before"),
        ("entrada", "DISABLE", "after"),
        ("principal", "USER_WRQ", "before"),
        ("entrada", "USER_WRQ", "before"),
        ("principal", "USER_WRQ", "after"),
        ("entrada", "USER_WRQ", "after"),
        ("principal", "REFRESHDATA", "before"),
        ("entrada", "REFRESHDATA", "after"),
        ("principal", "ENABLE", "after"),
        ("entrada", "EXIT", "after"),
    ],
)
def test_a_bridge_killed_at_any_frame_of_any_member_gives_one_true_answer(
    make: Callable[..., Any], member: str, frame: str, when: str
) -> None:
    plant = make()
    with plant.daemon:
        getattr(plant, member).faults.add(frame, when, lambda _: plant.daemon.pause())
        plant.publish("planta", "users/create", user(1))
        wait_until(lambda: not getattr(plant, member).faults.waiting(), timeout=PATIENCE_S, what="the frame")
        plant.daemon.kill()
        plant.daemon.start()
        answer = plant.reply("planta")
        again = plant.reply_again("planta", user(1))

    assert (answer["status"], answer["code"]) == (200, "created")
    assert [each["code"] for each in answer["results"]] == ["created", "created"]
    assert again == {**answer, "replayed": True}
    assert users_of(plant.principal, plant.entrada) == [["1"], ["1"]]
    assert not plant.principal.disabled
    assert not plant.entrada.disabled


def test_a_stop_in_the_middle_leaves_the_rest_to_the_next_start(make: Callable[..., Any]) -> None:
    retry = {"attempts": 100, "initial_delay": 5, "max_delay": 5, "deadline": 60}
    plant = make(retry=retry)
    plant.entrada.power_off()
    with plant.daemon:
        plant.publish("planta", "users/create", user(1))
        wait_until(lambda: users_of(plant.principal) == [["1"]], what="one member")
        wait_until(lambda: "attempt 1 of 100 failed" in plant.daemon.log, what="the other's first attempt")
        assert plant.daemon.stop() == 0
        assert plant.heard("zk/planta/users/create/reply") == []
        plant.entrada.power_on()
        plant.daemon.start()
        answer = plant.reply("planta")

    assert [each["code"] for each in answer["results"]] == ["created", "created"]
    assert users_of(plant.principal, plant.entrada) == [["1"], ["1"]]


def test_a_bridge_killed_before_its_answer_is_confirmed_sends_the_same_again(make: Callable[..., Any]) -> None:
    plant = make()
    with plant.daemon:
        plant.publish("planta", "users/create", user(1))
        answer = plant.reply("planta")
        plant.daemon.kill()
        plant.daemon.start()
        plant.ask("planta", "ping", {})

    assert {json.dumps(each) for each in plant.heard("zk/planta/users/create/reply")} == {json.dumps(answer)}


@pytest.mark.parametrize("marked", [True, False])
def test_a_message_that_the_broker_brings_again_is_carried_out_once(
    tmp_path: Path, simulator: Simulator, marked: bool
) -> None:
    """As Mosquitto does, with DUP and the same packet id; and as RabbitMQ does, under a new one and unmarked."""
    terminals = {name: simulator.add(TerminalConfig(profile="tft")) for name in ("principal", "entrada")}
    devices = {name: device(terminal) for name, terminal in terminals.items()}
    body = b'{"user_id":"1","name":"User 1"}'
    topic = "zk/planta/users/create"
    with FakeBroker() as broker:
        more: dict[str, Any] = {"mqtt": {"protocol": "3.1.1"}, "groups": {"planta": list(devices)}}
        with Daemon(tmp_path / "d", broker.port, devices, **more, covered=False):
            broker.wait_for_client()
            broker.deliver(topic, body, mid=1)
            (first,) = broker.replies(f"{topic}/reply", 1)
            broker.drop()
            broker.wait_for_client(2)
            broker.deliver(topic, body, mid=1 if marked else 9, duplicate=marked)
            if not marked:
                second = json.loads(broker.replies(f"{topic}/reply", 2)[1])
                assert [each.pop("replayed") for each in second["results"]] == [True, True]
                assert second == json.loads(first)
            broker.deliver(topic, b'{"user_id":"2","name":"User 2"}', mid=20)
            wait_until(lambda: users_of(*terminals.values()) == [["1", "2"], ["1", "2"]])
            # One more where the connection ended before the bridge had read that the first one was taken.
            answers = broker.replies(f"{topic}/reply", 2 if marked else 3)

    assert [json.loads(answer)["code"] for answer in answers] == ["created"] * len(answers)
    assert users_of(*terminals.values()) == [["1", "2"], ["1", "2"]]
