"""Members that are away are caught up later, each request once, in order, and nobody is held up by it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.groups.plant import PATIENCE_S, Plant, in_s, user, users_of
from tests.support.daemon import Daemon
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

LATE = "zk/entrada/users/create/reply"


def waiting_user(number: int, seconds: int = 600, **more: Any) -> dict[str, Any]:
    """A request that waits for members that are away."""
    return user(number, catch_up=True, expires_at=in_s(seconds), **more)


def files_of(daemon: Daemon) -> bytes:
    return b"".join(path.read_bytes() for path in daemon.state.iterdir() if path.name.startswith("ledger.db"))


@pytest.fixture
def halved(make: Callable[..., Any]) -> Iterator[Plant]:
    """A plant that runs, and whose `entrada` is off."""
    plant = make()
    plant.entrada.power_off()
    with plant.daemon:
        yield plant


@pytest.mark.parametrize(
    ("language", "sentence", "why"),
    [
        ("es", "Hecho en 1 de 2 dispositivos del grupo 'planta', 1 en espera; vea results.", "se hará cuando"),
        ("en", "Done on 1 of 2 devices of group 'planta', 1 waiting; see results.", "it will be done when"),
    ],
)
def test_a_member_that_is_away_is_answered_waiting_and_done_when_it_is_back(
    make: Callable[..., Any], language: str, sentence: str, why: str
) -> None:
    plant = make(language=language)
    plant.entrada.power_off()
    with plant.daemon:
        plant.publish("planta", "users/create", waiting_user(1), correlation_data=b"\7")
        answer = plant.reply("planta")
        done, away = answer["results"]
        assert (answer["success"], answer["status"], answer["code"]) == (False, 207, "partial")
        assert answer["error"] == sentence
        assert done["code"] == "created"
        assert away == {
            "device_id": "entrada",
            "success": False,
            "error": away["error"],
            "status": 202,
            "code": "waiting",
            "effect": "none",
            "until": away["until"],
        }
        assert why in away["error"]
        assert away["until"] in away["error"]
        assert f"{plant.entrada.host}:{plant.entrada.port}" in away["error"]

        plant.comes_back()
        late = plant.caller.wait_for(LATE, timeout=PATIENCE_S)
        again = plant.ask("planta", "users/create", waiting_user(1))

    assert late.json == {
        "success": True,
        "message": late.json["message"],
        "data": {"user_id": "1", "name": "User 1", "device_id": "entrada"},
        "status": 200,
        "code": "created",
        "request_id": "r1",
    }
    assert late.correlation_data == b"\7"
    assert users_of(plant.principal, plant.entrada) == [["1"], ["1"]]
    # Who asks again hears how it stands now.
    assert (again["code"], again["replayed"]) == ("created", True)
    assert [each["code"] for each in again["results"]] == ["created", "created"]
    assert len(plant.heard(LATE)) == 1


def test_what_waits_is_done_at_the_next_contact_whatever_that_is(halved: Plant) -> None:
    assert halved.ask("planta", "users/create", waiting_user(1))["code"] == "partial"
    halved.entrada.power_on()
    assert halved.ask("entrada", "ping", {})["code"] == "ok"

    assert halved.caller.wait_for(LATE, timeout=PATIENCE_S).json["code"] == "created"


def test_where_every_member_is_away_all_wait(make: Callable[..., Any]) -> None:
    plant = make()
    for terminal in (plant.principal, plant.entrada):
        terminal.power_off()
    with plant.daemon:
        answer = plant.ask("planta", "users/create", waiting_user(1))
        assert (answer["code"], [each["code"] for each in answer["results"]]) == ("partial", ["waiting"] * 2)
        assert answer["error"] == "Hecho en 0 de 2 dispositivos del grupo 'planta', 2 en espera; vea results."
        for name in ("principal", "entrada"):
            getattr(plant, name).power_on()
            plant.publish(name, "ping", {})
        assert plant.reply("principal")["code"] == "created"
        assert plant.reply("entrada")["code"] == "created"

    assert users_of(plant.principal, plant.entrada) == [["1"], ["1"]]


def test_what_waits_does_not_hold_up_what_is_asked_of_the_member(halved: Plant) -> None:
    for number in range(5):
        halved.ask("planta", "users/create", waiting_user(number))
    refused = halved.ask("entrada", "users/create", user(50))
    halved.entrada.power_on()
    done = halved.ask("entrada", "users/create", user(51))
    late = [halved.reply("entrada") for _ in range(5)]

    assert refused["code"] == "device_unreachable"
    assert done["code"] == "created"
    assert [each["request_id"] for each in late] == [f"r{number}" for number in range(5)]
    assert users_of(halved.entrada) == [["0", "1", "2", "3", "4", "51"]]


def test_what_waits_does_not_fill_the_queue(make: Callable[..., Any]) -> None:
    plant = make(queue_limit=2)
    plant.entrada.power_off()
    with plant.daemon:
        for number in range(2):
            plant.ask("planta", "users/create", waiting_user(number))
        own = plant.ask("entrada", "users/create", user(50))
        # Nor does it pile up without an end: what finds no place fails as it would without `catch_up`.
        third = plant.ask("planta", "users/create", waiting_user(2))

    assert own["code"] == "device_unreachable"
    assert [each["code"] for each in third["results"]] == ["created", "device_unreachable"]


def test_a_later_request_about_the_same_user_comes_after_what_waits(halved: Plant) -> None:
    """Somebody is taken on while a door is away, and leaves the day it is back: the door must not let them in."""
    halved.ask("planta", "users/create", waiting_user(1))
    halved.ask("planta", "users/create", waiting_user(2))
    halved.entrada.power_on()
    gone = halved.ask("planta", "users/delete", {"user_id": "1", "request_id": "bye"})
    assert halved.reply("entrada", where=lambda answer: answer["request_id"] == "r1")["code"] == "created"
    assert halved.reply("entrada", where=lambda answer: answer["request_id"] == "r2")["code"] == "created"

    assert gone["code"] == "deleted"
    assert users_of(halved.principal, halved.entrada) == [["2"], ["2"]]


def test_a_waiting_create_and_a_waiting_delete_are_done_in_their_order(halved: Plant) -> None:
    halved.ask("planta", "users/create", waiting_user(1))
    bye = {"user_id": "1", "request_id": "bye", "catch_up": True, "expires_at": in_s(600)}
    assert [each["code"] for each in halved.ask("planta", "users/delete", bye)["results"]] == ["deleted", "waiting"]
    halved.comes_back()

    assert halved.reply("entrada")["code"] == "created"
    assert halved.reply("entrada", "users/delete")["code"] == "deleted"
    assert users_of(halved.principal, halved.entrada) == [[], []]


def test_a_member_that_refuses_when_it_is_back_answers_that(halved: Plant) -> None:
    halved.ask("planta", "users/create", waiting_user(1))
    halved.entrada.add_user("1", name="From the keypad")
    halved.comes_back()

    late = halved.reply("entrada")
    assert (late["status"], late["code"], late["request_id"]) == (409, "user_exists", "r1")
    assert halved.ask("planta", "users/create", waiting_user(1))["code"] == "partial"


@pytest.mark.parametrize(("language", "start"), [("es", "La solicitud venció"), ("en", "The request expired")])
def test_a_request_that_has_waited_too_long_is_answered_and_not_executed(
    make: Callable[..., Any], language: str, start: str
) -> None:
    plant = make(language=language)
    plant.entrada.power_off()
    with plant.daemon:
        plant.waits_shortly(1)
        late = plant.reply("entrada", where=lambda answer: answer["code"] == "expired")
        plant.comes_back()
        after = plant.ask("planta", "users/create", user(2))
        again = plant.ask("planta", "users/create", waiting_user(1, request_id=late["request_id"]))

    assert (late["status"], late["success"]) == (408, False)
    assert late["error"].startswith(start)
    assert after["code"] == "created"
    assert again["replayed"] is True
    assert again["results"][1]["code"] == "expired"
    assert users_of(plant.entrada) == [["2"]]


def test_an_expired_request_that_may_have_been_executed_is_answered_unknown(make: Callable[..., Any]) -> None:
    """Its answer was lost, and the terminal never came back: nobody can say what it holds."""
    plant = make(retry={"attempts": 1, "deadline": 15})
    plant.entrada.faults.add("USER_WRQ", "after", lambda _: plant.entrada.power_off())
    with plant.daemon:
        plant.waits_shortly(1)
        late = plant.reply("entrada")

    away = plant.heard("zk/planta/users/create/reply")[-1]["results"][1]
    assert (away["code"], away["effect"]) == ("waiting", "unknown")
    assert (late["code"], late["effect"], late["retryable"]) == ("outcome_unknown", "unknown", False)


def test_what_was_done_before_the_answer_was_lost_is_not_done_twice(make: Callable[..., Any]) -> None:
    plant = make(retry={"attempts": 1, "deadline": 15})
    plant.entrada.faults.add("USER_WRQ", "after", lambda _: plant.entrada.power_off())
    with plant.daemon:
        assert plant.ask("planta", "users/create", waiting_user(1))["results"][1]["code"] == "waiting"
        assert users_of(plant.entrada) == [["1"]]
        plant.comes_back()
        assert plant.reply("entrada")["code"] == "created"
    assert users_of(plant.entrada) == [["1"]]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_what_waits_outlives_the_bridge(halved: Plant, how: str) -> None:
    halved.ask("planta", "users/create", waiting_user(1))
    halved.ask("planta", "users/create", waiting_user(2, seconds=600))
    getattr(halved.daemon, how)()
    halved.entrada.power_on()
    halved.daemon.start()

    assert [halved.reply("entrada")["request_id"] for _ in range(2)] == ["r1", "r2"]
    assert users_of(halved.entrada) == [["1", "2"]]


def test_a_request_that_expired_while_the_bridge_was_away_is_answered_when_it_is_back(halved: Plant) -> None:
    until = halved.waits_shortly(1)
    halved.daemon.kill()
    wait_until(lambda: in_s(0) > until, timeout=70, what="the request to expire")
    halved.daemon.start()

    assert halved.reply("entrada")["code"] == "expired"


def test_a_device_that_is_gone_for_good_is_not_waited_for(halved: Plant) -> None:
    halved.ask("planta", "users/create", waiting_user(1))
    halved.daemon.stop()
    del halved.daemon.config["devices"]["entrada"]
    halved.daemon.config["groups"] = {"planta": ["principal"]}
    halved.daemon.start()

    late = halved.reply("entrada")
    assert (late["status"], late["code"], late["request_id"]) == (404, "device_not_found", "r1")


def test_a_terminal_that_breaks_while_it_is_caught_up_loses_nothing(halved: Plant) -> None:
    for number in range(3):
        halved.ask("planta", "users/create", waiting_user(number))
    halved.entrada.faults.add("USER_WRQ", "after", "reset")
    halved.comes_back()
    late = [halved.reply("entrada") for _ in range(3)]

    assert [each["code"] for each in late] == ["created"] * 3
    assert users_of(halved.entrada) == [["0", "1", "2"]]


def test_what_is_asked_while_catching_up_fails_is_tried_for_itself(halved: Plant) -> None:
    halved.ask("planta", "users/create", waiting_user(1))
    halved.entrada.faults.add("DISABLE", "before", "silence")
    halved.comes_back()
    wait_until(lambda: not halved.entrada.faults.waiting(), timeout=PATIENCE_S, what="the catching up to hang")
    halved.publish("entrada", "users/create", user(50))

    assert halved.reply("entrada", where=lambda answer: answer["request_id"] == "r50")["code"] == "created"
    assert halved.reply("entrada", where=lambda answer: answer["request_id"] == "r1")["code"] == "created"


def test_a_wrong_key_is_no_absence(make: Callable[..., Any], simulator: Simulator) -> None:
    locked = simulator.add(TerminalConfig(profile="tft", comm_key=77))
    plant = make(entrada={"port": locked.port})
    with plant.daemon:
        answer = plant.ask("planta", "users/create", waiting_user(1))

    assert [each["code"] for each in answer["results"]] == ["created", "device_auth_failed"]


def test_passwords_and_cards_stay_only_as_long_as_they_are_needed(halved: Plant) -> None:
    halved.ask("planta", "users/create", waiting_user(1, password="83920177", card=3456789012))
    assert b"83920177" in files_of(halved.daemon)
    halved.comes_back()
    halved.reply("entrada")

    wait_until(lambda: b"83920177" not in files_of(halved.daemon), timeout=PATIENCE_S, what="the ledger to forget")
    assert b"3456789012" not in files_of(halved.daemon)
    assert "83920177" not in halved.daemon.log


def test_what_expires_is_forgotten_too(halved: Plant) -> None:
    halved.waits_shortly(1, password="83920177")
    halved.reply("entrada")

    wait_until(lambda: b"83920177" not in files_of(halved.daemon), timeout=PATIENCE_S, what="the ledger to forget")


@pytest.mark.parametrize(
    ("frame", "when"),
    [
        ("DISABLE", "before"),
        ("USER_WRQ", "before"),
        ("USER_WRQ", "after"),
        ("REFRESHDATA", "after"),
        ("ENABLE", "after"),
    ],
)
def test_a_bridge_killed_while_it_catches_up_does_each_once(halved: Plant, frame: str, when: str) -> None:
    halved.ask("planta", "users/create", waiting_user(1))
    halved.entrada.faults.add(frame, when, lambda _: halved.daemon.pause())
    halved.comes_back()
    wait_until(lambda: not halved.entrada.faults.waiting(), timeout=PATIENCE_S, what="the frame")
    halved.daemon.kill()
    halved.daemon.start()

    late = halved.reply("entrada")
    assert (late["code"], late["request_id"]) == ("created", "r1")
    again = halved.ask("planta", "users/create", waiting_user(1))
    assert again["code"] == "created"
    assert users_of(halved.principal, halved.entrada) == [["1"], ["1"]]
    assert {json.dumps(each) for each in halved.heard(LATE)} == {json.dumps(late)}
