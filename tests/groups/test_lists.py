"""A list of users for a group, and through kills, lost connections and redeliveries: each row once, told as it is."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.groups.plant import PATIENCE_S, Plant, in_s, users_of
from tests.support.daemon import Daemon, device
from tests.support.fake_broker import FakeBroker
from tests.support.frames import asked, wait_for_session_end
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

CREATE = "users/create-many"


def listed(*numbers: int, request_id: str = "list", **more: Any) -> dict[str, Any]:
    return {"users": [{"user_id": str(n), "name": f"User {n}", **more} for n in numbers], "request_id": request_id}


def codes(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["user_id"], each["code"]) for each in answer["results"]]


def test_the_answer_of_a_group_has_the_rows_of_each_member(plant: Plant) -> None:
    plant.ask("entrada", "users/create", {"user_id": "2", "name": "Somebody else"})

    answer = plant.ask("planta", CREATE, listed(1, 2))

    assert answer == {
        "success": False,
        "error": "Hecho en 1 de 2 dispositivos del grupo 'planta'; vea results.",
        "status": 207,
        "code": "partial",
        "results": [
            {
                "device_id": "principal",
                "success": True,
                "message": "Hecho para todos los usuarios de la lista (2).",
                "results": [
                    {"user_id": "1", "status": 200, "code": "created", "name": "User 1"},
                    {"user_id": "2", "status": 200, "code": "created", "name": "User 2"},
                ],
                "status": 200,
                "code": "created",
            },
            {
                "device_id": "entrada",
                "success": False,
                "error": "Hecho para 1 de 2 usuarios de la lista; vea results.",
                "status": 207,
                "code": "partial",
                "results": [
                    {"user_id": "1", "status": 200, "code": "created", "name": "User 1"},
                    {"user_id": "2", "status": 409, "code": "user_exists", "error": "user_id '2' ya existe."},
                ],
            },
        ],
        "request_id": "list",
    }
    assert users_of(plant.principal, plant.entrada, plant.patio) == [["1", "2"], ["1", "2"], []]


def test_a_group_of_which_no_member_did_all_rows_and_some_did_one_is_answered_partial(plant: Plant) -> None:
    for member in ("principal", "entrada"):
        plant.ask(member, "users/create", {"user_id": "2", "name": "Somebody else"})

    answer = plant.ask("planta", CREATE, listed(1, 2))

    assert (answer["code"], answer["error"]) == (
        "partial",
        "Hecho en 0 de 2 dispositivos del grupo 'planta'; vea results.",
    )


def test_a_list_whose_terminal_is_away_fails_row_by_row_and_only_those_rows_are_carried_out_again(plant: Plant) -> None:
    plant.entrada.power_off()
    first = plant.ask("planta", CREATE, listed(1, 2))
    plant.entrada.power_on()
    again = plant.ask("planta", CREATE, listed(1, 2))

    assert [each["code"] for each in first["results"]] == ["created", "all_failed"]
    assert codes(first["results"][1]) == [("1", "device_unreachable"), ("2", "device_unreachable")]
    assert {each["effect"] for each in first["results"][1]["results"]} == {"none"}
    assert [each["code"] for each in again["results"]] == ["created", "created"]
    assert [each.get("replayed") for each in again["results"][0]["results"]] == [True, True]
    assert users_of(plant.principal, plant.entrada) == [["1", "2"], ["1", "2"]]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("frame", "nth"),
    [
        ("CONNECT", 1),
        ("DISABLE", 1),
        ("USER_WRQ", 1),
        ("USER_WRQ", 2),
        ("USER_WRQ", 3),
        ("REFRESHDATA", 1),
        ("ENABLE", 1),
        ("EXIT", 1),
    ],
)
def test_a_bridge_killed_at_any_frame_of_a_list_writes_each_user_once_and_answers_correctly(
    make: Callable[..., Any], frame: str, nth: int, when: str
) -> None:
    plant = make()
    plant.principal.add_user("9", "At the keypad")
    with plant.daemon:
        plant.principal.faults.add(frame, when, lambda _: plant.daemon.pause(), skip=nth - 1)
        plant.publish("principal", CREATE, listed(1, 9, 2, 3))
        wait_until(lambda: not plant.principal.faults.waiting(), timeout=PATIENCE_S, what="the frame")
        plant.daemon.kill()
        plant.daemon.start()
        answer = plant.reply("principal", CREATE)

        assert codes(answer) == [("1", "created"), ("9", "user_exists"), ("2", "created"), ("3", "created")]
        wait_for_session_end(plant.principal)
    assert users_of(plant.principal) == [["1", "2", "3", "9"]]
    assert [user.name for user in plant.principal.users() if user.user_id == "9"] == ["At the keypad"]


@pytest.mark.parametrize("command", ["users/update-many", "users/delete-many"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("frame", ["USER_WRQ", "DELETE_USER", "REFRESHDATA", "ENABLE"])
def test_a_bridge_killed_while_it_changes_or_deletes_a_list_answers_correctly(
    make: Callable[..., Any], command: str, frame: str, when: str
) -> None:
    if frame == ("DELETE_USER" if command == "users/update-many" else "USER_WRQ"):
        frame = "CONNECT"
    plant = make()
    for number in (1, 2):
        plant.principal.add_user(str(number), "Old")
    body = {"users": [{"user_id": str(n)} | ({"name": "New"} if "update" in command else {}) for n in (1, 2, 3)]}
    with plant.daemon:
        plant.principal.faults.add(frame, when, lambda _: plant.daemon.pause())
        plant.publish("principal", command, {**body, "request_id": "many"})
        wait_until(lambda: not plant.principal.faults.waiting(), timeout=PATIENCE_S, what="the frame")
        plant.daemon.kill()
        plant.daemon.start()
        answer = plant.reply("principal", command)
        wait_for_session_end(plant.principal)

    done = "updated" if "update" in command else "deleted"
    assert codes(answer) == [("1", done), ("2", done), ("3", "user_not_found")]
    assert [user.name for user in plant.principal.users()] == (["New", "New"] if "update" in command else [])


@pytest.mark.parametrize("frame", ["USER_WRQ", "REFRESHDATA"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_lost_in_a_list_costs_no_row(make: Callable[..., Any], frame: str, when: str) -> None:
    plant = make()
    with plant.daemon:
        plant.principal.faults.add(frame, when, "close", skip=frame == "USER_WRQ")
        answer = plant.ask("principal", CREATE, listed(1, 2, 3))
        wait_for_session_end(plant.principal)

    assert codes(answer) == [("1", "created"), ("2", "created"), ("3", "created")]
    assert users_of(plant.principal) == [["1", "2", "3"]]


def test_a_long_list_keeps_people_off_in_sittings_within_the_budget(make: Callable[..., Any]) -> None:
    plant = make(session_budget=0.2)
    plant.principal.faults.add("USER_WRQ", "before", "late", delay=0.02, count=40)
    with plant.daemon:
        seen = len(plant.principal.log)
        answer = plant.ask("principal", CREATE, listed(*range(1, 41)))
        wait_for_session_end(plant.principal)

    assert answer["code"] == "created"
    assert len(users_of(plant.principal)[0]) == 40
    assert asked(plant.principal, since=seen).count("DISABLE") > 2


@pytest.mark.parametrize("marked", [True, False])
def test_a_list_that_the_broker_brings_again_is_carried_out_once(
    tmp_path: Path, simulator: Simulator, marked: bool
) -> None:
    """As Mosquitto does, with DUP and the same packet id; and as RabbitMQ does, under a new one and unmarked."""
    terminal = simulator.add(TerminalConfig(profile="tft"))
    body = b'{"users":[{"user_id":"1","name":"User 1"},{"user_id":"2","name":"User 2"}]}'
    topic = f"zk/p/{CREATE}"
    with (
        FakeBroker() as broker,
        Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, mqtt={"protocol": "3.1.1"}, covered=False),
    ):
        broker.wait_for_client()
        broker.deliver(topic, body, mid=1)
        (first,) = broker.replies(f"{topic}/reply", 1)
        broker.drop()
        broker.wait_for_client(2)
        broker.deliver(topic, body, mid=1 if marked else 9, duplicate=marked)
        broker.deliver("zk/p/users/create", b'{"user_id":"3","name":"User 3"}', mid=20)
        wait_until(lambda: users_of(terminal) == [["1", "2", "3"]])
        if not marked:
            second = json.loads(broker.replies(f"{topic}/reply", 2)[1])
            assert [each.pop("replayed") for each in second["results"]] == [True, True]
            assert second == json.loads(first)

    assert [each["code"] for each in json.loads(first)["results"]] == ["created", "created"]


def test_a_full_queue_turns_a_list_away_whole(make: Callable[..., Any]) -> None:
    plant = make(queue_limit=2)
    go_on = threading.Event()
    plant.principal.faults.add("USER_WRQ", "before", lambda _: go_on.wait(5))
    with plant.daemon:
        plant.publish("principal", CREATE, listed(1, 2, 3, request_id="first"))
        wait_until(lambda: not plant.principal.faults.waiting(), timeout=PATIENCE_S, what="the frame")
        second = plant.ask("principal", CREATE, listed(4, 5, request_id="second"))
        go_on.set()
        first = plant.reply("principal", CREATE)

    assert (second["code"], second["request_id"], "results" in second) == ("busy", "second", False)
    assert (first["code"], first["request_id"]) == ("created", "first")


def test_the_rows_of_a_terminal_that_is_away_wait_and_each_is_answered_when_it_is_back(
    make: Callable[..., Any],
) -> None:
    plant = make()
    plant.entrada.add_user("2", "Another")
    plant.entrada.power_off()
    waits = {"catch_up": True, "expires_at": in_s(600)}
    body = {**listed(1, 2), **waits}
    with plant.daemon:
        both = plant.ask("planta", CREATE, body)
        alone = plant.ask("entrada", CREATE, {**listed(3, request_id="alone"), **waits})
        plant.comes_back()
        late = [plant.caller.wait_for("zk/entrada/users/create/reply", timeout=PATIENCE_S).json for _ in range(3)]
        again = plant.ask("planta", CREATE, body)

    assert (both["code"], [each["code"] for each in both["results"]]) == ("partial", ["created", "partial"])
    away = both["results"][1]
    assert away["error"] == "Hecho para 0 de 2 usuarios de la lista, 2 en espera; vea results."
    assert codes(away) == [("1", "waiting"), ("2", "waiting")]
    assert {(each["status"], each["effect"], "until" in each) for each in away["results"]} == {(202, "none", True)}
    assert (alone["status"], alone["code"], codes(alone)) == (207, "partial", [("3", "waiting")])
    told = {(each.get("user_id") or each["data"]["user_id"]): (each["code"], each["request_id"]) for each in late}
    assert told == {"1": ("created", "list"), "2": ("user_exists", "list"), "3": ("created", "alone")}
    assert [codes(each) for each in again["results"]] == [
        [("1", "created"), ("2", "created")],
        [("1", "created"), ("2", "user_exists")],
    ]
    assert sorted(user.user_id for user in plant.entrada.users()) == ["1", "2", "3"]


@pytest.mark.parametrize("seconds", [None, 9_999_999], ids=str)
def test_a_list_that_waits_needs_a_moment_until_which_it_is_good(plant: Plant, seconds: int | None) -> None:
    until = {} if seconds is None else {"expires_at": in_s(seconds)}
    answer = plant.ask("principal", CREATE, {**listed(1), "catch_up": True, **until})

    assert (answer["code"], [each["field"] for each in answer["errors"]]) == ("invalid_field", ["expires_at"])
    assert plant.principal.users() == []
