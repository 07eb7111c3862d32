"""Killed at each frame of a document that is carried out, in parts too: the terminal holds what the document says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.groups.plant import PATIENCE_S, Plant
from tests.support.frames import asked, wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TOPIC = "zk/principal/users/desired"
#: One is there as wanted, two are changed, one is blocked, one deleted for being absent, three are new.
BEFORE = [("1", "Ana"), ("2", "Eva"), ("3", "Ida"), ("4", "Ugo"), ("5", "Old")]
ROWS: list[dict[str, Any]] = [
    {"user_id": "1", "name": "Ana"},
    {"user_id": "2", "name": "Eva Maria"},
    {"user_id": "3", "name": "Ida Maria", "card": 77},
    {"user_id": "4", "name": "Ugo", "blocked": True},
    *({"user_id": str(number), "name": f"New {number}"} for number in (6, 7, 8)),
]
WANTED = {
    "1": ("Ana", 0, 0),
    "2": ("Eva Maria", 0, 0),
    "3": ("Ida Maria", 77, 0),
    "4": ("Ugo", 0, 1),
    "6": ("New 6", 0, 0),
    "7": ("New 7", 0, 0),
    "8": ("New 8", 0, 0),
    "9": ("At the keypad", 0, 0),
}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with Mosquitto(tmp_path / "mosquitto") as broker:
        plant = Plant(tmp_path, broker, desired={"enabled": True}, session_budget=0.05)
        try:
            yield plant
        finally:
            plant.close()


def publish(plant: Plant, version: int, rows: list[dict[str, Any]], *, parts: bool, **more: Any) -> None:
    body: dict[str, Any] = {"version": version, "apply": True, "delete": "delete", "delete_limit": 50, **more}
    if parts:
        payloads = [json.dumps({"users": some}).encode() for some in (rows[:3], rows[3:])]
        for number, payload in enumerate(payloads, start=1):
            plant.caller.publish(f"{TOPIC}/part/{number}", payload, retain=True)
        body["parts"] = [hashlib.sha256(payload).hexdigest() for payload in payloads]
    else:
        body["users"] = rows
    plant.caller.publish(TOPIC, json.dumps(body), retain=True)


def plan_of(plant: Plant, version: int) -> dict[str, Any]:
    def is_end(message: Any) -> bool:
        return message.json.get("version") == version and message.json.get("state") in ("applied", "partial")

    plan: dict[str, Any] = plant.caller.wait_for(f"{TOPIC}/plan", is_end, timeout=PATIENCE_S).json
    return plan


def held(plant: Plant) -> dict[str, tuple[str, int, int]]:
    return {user.user_id: (user.name, user.card, user.privilege & 1) for user in plant.principal.users()}


@pytest.mark.parametrize("killed_after", [1, 3, 7])
def test_a_document_of_which_parts_are_unread_at_a_kill_is_planned_whole_and_once(
    plant: Plant, killed_after: int
) -> None:
    rows = [{"user_id": str(number), "name": f"Name {number}"} for number in range(1, 2801)]
    payloads = [json.dumps({"users": rows[start : start + 400]}).encode() for start in range(0, 2800, 400)]
    manifest = {"version": 1, "parts": [hashlib.sha256(payload).hexdigest() for payload in payloads]}
    with plant.daemon:
        for number, payload in enumerate(payloads, start=1):
            plant.caller.publish(f"{TOPIC}/part/{number}", payload, retain=True)
            if number == killed_after:
                wait_until(lambda: "to be read in turn" in plant.daemon.log, timeout=PATIENCE_S, what="a part")
                plant.daemon.kill()
        plant.caller.publish(TOPIC, json.dumps(manifest), retain=True)
        plant.daemon.start()
        plant.caller.wait_for(
            f"{TOPIC}/plan", lambda message: message.json.get("state") == "planned", timeout=PATIENCE_S
        )
        plant.ask("principal", "ping", {})
        wait_for_session_end(plant.principal)

    plans = [plan for plan in plant.heard(f"{TOPIC}/plan") if plan["state"] != "waiting"]
    assert [(plan["state"], plan["counts"]["added"]) for plan in plans] == [("planned", 2800)]


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("frame", ["CONNECT", "DISABLE", "USER_WRQ", "DELETE_USER", "REFRESHDATA", "ENABLE", "EXIT"])
@pytest.mark.parametrize("who", ["bridge", "terminal"])
def test_the_terminal_holds_what_the_document_says_and_a_second_run_writes_nothing(
    plant: Plant, who: str, frame: str, when: str, *, parts: bool
) -> None:
    for user_id, name in BEFORE:
        plant.principal.add_user(user_id, name)
    with plant.daemon:
        publish(plant, 1, [{"user_id": user_id, "name": name} for user_id, name in BEFORE], parts=parts)
        assert plan_of(plant, 1)["state"] == "applied"
        wait_for_session_end(plant.principal)
        plant.principal.add_user("9", "At the keypad")

        strike: Callable[[Any], object] = {
            "bridge": lambda _: plant.daemon.pause(),
            "terminal": lambda _: plant.principal.power_off(),
        }[who]
        plant.principal.faults.add(frame, when, strike)
        publish(plant, 2, ROWS, parts=parts)
        wait_until(lambda: not plant.principal.faults.waiting(), timeout=PATIENCE_S, what="the frame")
        if who == "bridge":
            plant.daemon.kill()
            plant.daemon.start()
        else:
            plant.principal.power_on()
            plant.publish("principal", "ping", {})
        plan_of(plant, 2)
        wait_until(lambda: held(plant) == WANTED, timeout=PATIENCE_S, what="the terminal to be as the document says")
        wait_for_session_end(plant.principal)

        seen = len(plant.principal.log)
        publish(plant, 3, ROWS, parts=parts)
        again = plan_of(plant, 3)
        wait_for_session_end(plant.principal)

    assert sum(again["counts"].values()) == 0
    assert not {"USER_WRQ", "DELETE_USER"} & set(asked(plant.principal, since=seen))
    assert held(plant) == WANTED
