"""A retained document that says who is to be on a terminal: planned, refused, carried out, and again after a kill."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.groups.plant import PATIENCE_S, Plant, users_of
from tests.support.frames import asked, wait_for_session_end
from tests.support.waiting import wait_until
from zkbridge.contract.plan_models import DesiredPlan

ROWS = [{"user_id": "1", "name": "Ana", "card": 77}, {"user_id": "2", "name": "Eva", "blocked": True}]
ENABLED = {"desired": {"enabled": True}}


def publish(plant: Plant, version: int, *rows: dict[str, Any], to: str = "principal", **more: Any) -> None:
    body = json.dumps({"version": version, "users": list(rows), **more})
    plant.caller.publish(f"zk/{to}/users/desired", body, retain=True)


def plan_of(plant: Plant, version: int, to: str = "principal") -> dict[str, Any]:
    topic = f"zk/{to}/users/desired/plan"
    plan: dict[str, Any] = plant.caller.wait_for(
        topic, lambda m: m.json.get("request_id", m.json.get("version")) in (version, str(version)), timeout=PATIENCE_S
    ).json
    return plan


@pytest.fixture
def plant(make: Callable[..., Any]) -> Any:
    plant = make(**ENABLED)
    with plant.daemon:
        yield plant


def test_a_document_is_planned_and_nothing_is_written_without_apply(plant: Plant) -> None:
    plant.principal.add_user("1", "Anna", password="4711")
    plant.principal.add_user("9", "At the keypad")
    before = [user.raw for user in plant.principal.users()]

    publish(plant, 1, *ROWS)
    plan = plan_of(plant, 1)
    DesiredPlan.model_validate(plan)

    assert plan == {
        "success": True,
        "version": 1,
        "state": "planned",
        "dry_run": True,
        "added": ["2"],
        "changed": [{"user_id": "1", "fields": ["name", "card"]}],
        "blocked": [],
        "unblocked": [],
        "deleted": [],
        "kept": 1,
        "failed": [],
        "device_id": "principal",
        "counts": {"added": 1, "changed": 1, "blocked": 0, "unblocked": 0, "deleted": 0, "failed": 0},
        "status": 200,
        "code": "planned",
        "request_id": "1",
    }
    wait_for_session_end(plant.principal)
    assert [user.raw for user in plant.principal.users()] == before
    assert "DISABLE" not in asked(plant.principal)


def test_a_document_is_carried_out_and_a_second_run_writes_nothing(plant: Plant) -> None:
    plant.principal.add_user("1", "Anna", password="4711")
    plant.principal.add_user("9", "At the keypad")

    publish(plant, 1, *ROWS, apply=True)
    plan = plan_of(plant, 1)
    wait_for_session_end(plant.principal)

    assert (plan["state"], plan["added"], plan["changed"]) == ("applied", ["2"], [{"user_id": "1"}])
    one, keypad, two = plant.principal.users()
    assert (one.name, one.password, one.card) == ("Ana", "4711", 77)
    assert (two.name, two.privilege) == ("Eva", 1)
    assert keypad.name == "At the keypad"

    seen = len(plant.principal.log)
    publish(plant, 2, *ROWS, apply=True)
    again = plan_of(plant, 2)
    wait_for_session_end(plant.principal)

    assert (again["state"], sum(again["counts"].values())) == ("applied", 0)
    assert not {"USER_WRQ", "DELETE_USER"} & set(asked(plant.principal, since=seen))


@pytest.mark.parametrize("delete", ["never", "block", "delete"])
def test_claimed_users_who_are_absent_are_left_blocked_or_deleted_and_others_kept(plant: Plant, delete: str) -> None:
    plant.principal.add_user("9", "At the keypad")
    publish(plant, 1, *ROWS, apply=True)
    assert plan_of(plant, 1)["state"] == "applied"

    publish(plant, 2, ROWS[1], apply=True, delete=delete, delete_limit=50)
    plan = plan_of(plant, 2)
    wait_for_session_end(plant.principal)

    left = {user.user_id: user.privilege & 1 for user in plant.principal.users()}
    assert plan["state"] == "applied"
    assert left == {"9": 0, "2": 1} | ({} if delete == "delete" else {"1": int(delete == "block")})


def test_more_absent_users_than_the_limit_change_nothing(plant: Plant) -> None:
    publish(plant, 1, *ROWS, apply=True)
    assert plan_of(plant, 1)["state"] == "applied"

    publish(plant, 2, ROWS[1], apply=True, delete="delete")
    plan = plan_of(plant, 2)

    assert (plan["code"], plan["state"], plan["success"]) == ("delete_limit", "refused", False)
    assert plan["error"] == "Faltan 1 de 2 usuarios; delete_limit permite 0."
    assert (plan["absent"], plan["counts"]) == (["1"], {"absent": 1})
    assert users_of(plant.principal) == [["1", "2"]]


def test_a_refused_document_that_is_sent_again_is_carried_out_once_the_cause_is_gone(plant: Plant) -> None:
    publish(plant, 1, *ROWS, apply=True)
    assert plan_of(plant, 1)["state"] == "applied"
    changed = {**ROWS[1], "name": "Eva Maria"}
    again = []
    for _ in range(2):
        publish(plant, 2, changed, apply=True, delete="delete")
        again.append(plan_of(plant, 2)["code"])
    wait_for_session_end(plant.principal)
    plant.principal.delete_user("1")
    publish(plant, 2, changed, apply=True, delete="delete")
    plan = plan_of(plant, 2)

    assert again == ["delete_limit", "delete_limit"]
    assert (plan["state"], plan["changed"]) == ("applied", [{"user_id": "2"}])


@pytest.mark.parametrize(
    ("payload", "code", "version"),
    [
        (b'{"version": 2, "users": []}', "document_empty", 2),
        (b'{"version": 2, "users": [{"user_id": "3", "na', "body_required", None),
        (b'{"version": 0, "users": [{"user_id": "3", "name": "Zoe"}]}', "invalid_field", None),
        (b'{"version": 1, "users": [{"user_id": "3", "name": "Zoe"}], "apply": true}', "document_changed", 1),
        (b'{"version": 2, "users": [{"user_id": "3", "name": "Zoe", "password": "73915826"}]}', "document_secret", 2),
        (b'{"version": 2, "users": [{"user_id": "3", "name": "Zoe", "card": -1}], "apply": true}', "invalid_field", 2),
    ],
)
def test_a_document_that_breaks_a_rule_changes_nothing(
    plant: Plant, payload: bytes, code: str, version: int | None
) -> None:
    publish(plant, 1, *ROWS, apply=True)
    assert plan_of(plant, 1)["state"] == "applied"
    wait_for_session_end(plant.principal)
    before = [user.raw for user in plant.principal.users()]

    plant.caller.publish("zk/principal/users/desired", payload, retain=True)
    plan = plant.caller.wait_for("zk/principal/users/desired/plan", timeout=PATIENCE_S).json

    assert (plan["code"], plan["state"], plan["device_id"]) == (code, "refused", "principal")
    assert plan.get("version") == version
    assert [user.raw for user in plant.principal.users()] == before
    assert "73915826" not in plant.daemon.log


def test_an_older_document_and_a_cleared_one_change_nothing(plant: Plant) -> None:
    publish(plant, 5, *ROWS, apply=True)
    assert plan_of(plant, 5)["state"] == "applied"
    publish(plant, 4, {"user_id": "3", "name": "Zoe"}, apply=True)
    plan = plant.caller.wait_for("zk/principal/users/desired/plan", timeout=PATIENCE_S).json
    plant.caller.publish("zk/principal/users/desired", b"", retain=True)
    plant.ask("principal", "ping", {})

    assert (plan["code"], plan["state"], plan["version"]) == ("document_outdated", "refused", 4)
    assert users_of(plant.principal) == [["1", "2"]]


def test_each_member_of_a_group_publishes_its_own_plan(plant: Plant) -> None:
    plant.entrada.add_user("1", "Ana", card=77)

    publish(plant, 1, *ROWS, to="planta", apply=True)
    plans = [plan_of(plant, 1, member) for member in ("principal", "entrada")]

    assert [(plan["state"], plan["added"]) for plan in plans] == [("applied", ["1", "2"]), ("applied", ["2"])]
    assert users_of(plant.principal, plant.entrada, plant.patio) == [["1", "2"], ["1", "2"], []]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("frame", ["CONNECT", "USER_WRQ", "REFRESHDATA", "EXIT"])
def test_a_bridge_killed_while_it_carries_out_a_document_goes_on(
    make: Callable[..., Any], frame: str, when: str
) -> None:
    plant = make(**ENABLED)
    with plant.daemon:
        plant.principal.faults.add(frame, when, lambda _: plant.daemon.pause())
        publish(plant, 1, *ROWS, apply=True)
        wait_until(lambda: not plant.principal.faults.waiting(), timeout=PATIENCE_S, what="the frame")
        plant.daemon.kill()
        plant.daemon.start()
        plan = plan_of(plant, 1)
        wait_for_session_end(plant.principal)

    assert (plan["state"], plan["failed"]) == ("applied", [])
    assert users_of(plant.principal) == [["1", "2"]]


def test_documents_are_not_subscribed_to_unless_they_are_enabled(make: Callable[..., Any]) -> None:
    plant = make()
    with plant.daemon:
        publish(plant, 1, *ROWS, apply=True)
        plant.ask("principal", "ping", {})

    assert users_of(plant.principal) == [[]]
    assert plant.heard("zk/principal/users/desired/plan") == []


def test_a_document_in_parts_is_carried_out_when_its_last_part_has_come(plant: Plant) -> None:
    parts = [json.dumps({"users": [row]}).encode() for row in ROWS]
    body = {"version": 1, "parts": [hashlib.sha256(each).hexdigest() for each in parts], "apply": True}
    topic = "zk/principal/users/desired"

    plant.caller.publish(f"{topic}/part/1", parts[0], retain=True)
    plant.caller.publish(topic, json.dumps(body), retain=True)
    waiting = plant.caller.wait_for(f"{topic}/plan", timeout=PATIENCE_S).json
    bad = json.dumps({"users": [{"user_id": "2", "name": "Eva", "card": -1}]})
    plant.caller.publish(f"{topic}/part/2", bad, retain=True)
    refused = plant.caller.wait_for(f"{topic}/plan", timeout=PATIENCE_S).json
    plant.caller.publish(f"{topic}/part/2", parts[1], retain=True)
    plan = plan_of(plant, 1)

    assert (waiting["state"], waiting["code"]) == ("waiting", "document_incomplete")
    assert waiting["error"] == "Faltan partes del documento: 2."
    assert (refused["state"], refused["part"]) == ("refused", 2)
    assert [each["field"] for each in refused["errors"]] == ["part[2].users[0].card"]
    assert (plan["state"], plan["added"]) == ("applied", ["1", "2"])
    assert users_of(plant.principal) == [["1", "2"]]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_document_that_was_retained_before_the_bridge_ever_ran_is_carried_out(
    make: Callable[..., Any], protocol: str
) -> None:
    plant = make(**ENABLED, mqtt={"protocol": protocol})
    publish(plant, 1, *ROWS, apply=True)
    with plant.daemon:
        assert plan_of(plant, 1)["added"] == ["1", "2"]


@pytest.mark.parametrize("repair", [False, True])
def test_drift_is_published_at_intervals_and_repaired_if_wanted(make: Callable[..., Any], *, repair: bool) -> None:
    plant = make(desired={"enabled": True, "check_interval": 1, "repair": repair})
    topic = "zk/principal/users/desired/plan"
    with plant.daemon:
        plant.principal.add_user("9", "At the keypad")
        publish(plant, 1, *ROWS, apply=True, delete="delete")
        assert plan_of(plant, 1)["state"] == "applied"
        wait_for_session_end(plant.principal)
        plant.principal.delete_user("2")
        drifted = "applied" if repair else "drift"
        told = plant.caller.wait_for(topic, lambda m: m.json["added"] == ["2"], timeout=PATIENCE_S).json
        if repair:
            again = plant.caller.wait_for(topic, lambda m: m.json["added"] == [], timeout=PATIENCE_S).json
            assert sum(again["counts"].values()) == 0
        drift = plant.daemon.log.count("device=principal differs from its document of desired users in 1 users")

    assert (told["state"], told["version"]) == (drifted, 1)
    assert users_of(plant.principal) == [["1", "2", "9"] if repair else ["1", "9"]]
    assert drift == 1 if repair else drift >= 1


def test_a_document_whose_terminal_is_away_waits_for_it_also_over_a_restart(plant: Plant) -> None:
    topic = "zk/entrada/users/desired/plan"
    plant.entrada.power_off()
    publish(plant, 1, *ROWS, to="entrada", apply=True)
    waiting = plant.caller.wait_for(topic, timeout=PATIENCE_S).json
    plant.daemon.kill()
    plant.daemon.start()
    again = plant.caller.wait_for(topic, timeout=PATIENCE_S).json
    plant.comes_back()
    plan = plant.caller.wait_for(topic, lambda m: m.json["state"] == "applied", timeout=PATIENCE_S).json

    assert again == waiting
    assert (waiting["state"], waiting["version"], waiting["code"]) == ("waiting", 1, "waiting")
    assert "entrada" in waiting["error"]
    assert (plan["state"], plan["added"]) == ("applied", ["1", "2"])


def test_what_a_terminal_that_goes_away_in_the_middle_lacks_is_done_when_it_is_back(plant: Plant) -> None:
    rows = [{"user_id": str(number), "name": f"User {number}"} for number in range(1, 9)]
    plant.entrada.faults.add("USER_WRQ", "before", lambda _: plant.entrada.power_off())
    publish(plant, 1, *rows, to="entrada", apply=True)
    plan = plant.caller.wait_for(
        "zk/entrada/users/desired/plan", lambda m: m.json["state"] == "partial", timeout=PATIENCE_S
    ).json
    plant.comes_back()
    wait_until(lambda: len(plant.entrada.users()) == len(rows), timeout=PATIENCE_S, what="the users")

    assert (plan["waiting"], plan["failed"]) == (8, [])


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_bridge_tries_its_subscriptions_to_documents(make: Callable[..., Any], protocol: str) -> None:
    plant = make(**ENABLED, mqtt={"protocol": protocol})
    with plant.daemon:
        for end in ("users/desired", "users/desired/part/0"):
            plant.caller.wait_for(f"zk/bridge/{end}", lambda m: m.json == {"probe": True}, timeout=PATIENCE_S)
        health = plant.caller.wait_for("zk/bridge/health", timeout=PATIENCE_S).json
        plant.ask("principal", "ping", {})

    assert health["deaf_to"] == []
    said = plant.heard("zk/bridge/users/desired/plan")
    assert said == ([] if protocol == "5" else [{"probe": True}])


def test_a_file_of_a_group_is_carried_out_when_it_is_whole_and_again_when_it_has_changed(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    plant = make(desired={"enabled": True, "directory": str(folder), "apply": True, "delete": "delete"})
    path = folder / "planta.csv"
    topic = "zk/entrada/users/desired/plan"
    with plant.daemon:
        path.write_text("user_id,name,card\n1,Ana,77\n2,E")
        refused = plant.caller.wait_for(topic, timeout=PATIENCE_S).json
        path.write_text("user_id,name,card\n1,Ana,77\n2,Eva,\n")
        plan = plant.caller.wait_for(topic, timeout=PATIENCE_S).json
        publish(plant, 9, {"user_id": "3", "name": "Zoe"}, to="entrada", apply=True)
        twice = plant.caller.wait_for(topic, timeout=PATIENCE_S).json

    assert (refused["state"], refused["code"]) == ("refused", "file_cut_off")
    assert (plan["state"], plan["version"], plan["added"]) == ("applied", 1, ["1", "2"])
    assert (twice["state"], twice["code"]) == ("refused", "document_in_file")
    assert users_of(plant.entrada) == [["1", "2"]]
