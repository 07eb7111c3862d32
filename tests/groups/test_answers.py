"""One message for several terminals, and the one answer that tells of each."""

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.groups.plant import PATIENCE_S, Plant, in_s, user, users_of
from tests.support.caller import Message
from tests.support.processes import closed_port
from tests.support.waiting import wait_until
from zkbridge.asyncapi.examples import example_request
from zkbridge.commands import Lasting, commands
from zkbridge.commands.api.backups import Backups
from zkbridge.simulator import Command

COMMANDS = commands()
FOR_GROUPS = [name for name, each in COMMANDS.items() if each.for_groups]
LASTING = [name for name, each in COMMANDS.items() if issubclass(each.params, Lasting)]


def test_a_user_is_created_on_every_member_and_the_answer_has_each_result(shared: Plant) -> None:
    alone = shared.heard("zk/principal/users/create/reply")

    answer = shared.ask("planta", "users/create", user(1, password="4711", card=99887766))

    assert answer == {
        "success": True,
        "message": "Usuario registrado.",
        "results": [
            {
                "device_id": device,
                "success": True,
                "message": "Usuario registrado.",
                "data": {"user_id": "1", "name": "User 1", "device_id": device},
                "status": 200,
                "code": "created",
            }
            for device in ("principal", "entrada")
        ],
        "status": 200,
        "code": "created",
        "request_id": "r1",
    }
    assert list(answer)[-3:] == ["status", "code", "request_id"]
    for terminal in (shared.principal, shared.entrada):
        (known,) = [each for each in terminal.users() if each.user_id == "1"]
        assert (known.password, known.card) == ("4711", 99887766)
    assert "1" not in users_of(shared.patio)[0]
    assert shared.heard("zk/principal/users/create/reply") == alone
    assert "4711" not in shared.daemon.log
    assert "99887766" not in shared.daemon.log


@pytest.mark.parametrize(
    ("language", "sentence", "exists"),
    [
        ("es", "Hecho en 1 de 2 dispositivos del grupo 'planta'; vea results.", "user_id '7' ya existe."),
        ("en", "Done on 1 of 2 devices of group 'planta'; see results.", "user_id '7' already exists."),
    ],
)
def test_where_one_member_refuses_the_answer_is_neither_a_success_nor_a_failure(
    make: Callable[..., Any], language: str, sentence: str, exists: str
) -> None:
    plant = make(language=language)
    with plant.daemon:
        plant.ask("entrada", "users/create", {"user_id": "7", "name": "Somebody else"})
        plant.publish("planta", "users/create", user(7))
        message = plant.caller.wait_for("zk/planta/users/create/reply", timeout=PATIENCE_S)

    answer = message.json
    assert {key: answer[key] for key in answer if key != "results"} == {
        "success": False,
        "error": sentence,
        "status": 207,
        "code": "partial",
        "request_id": "r7",
    }
    done, refused = answer["results"]
    assert (done["device_id"], done["code"]) == ("principal", "created")
    assert refused == {
        "device_id": "entrada",
        "success": False,
        "error": exists,
        "status": 409,
        "code": "user_exists",
    }
    assert dict(message.user_properties) == {"status": "207", "code": "partial", "command": "users/create"}


def test_where_all_refuse_for_the_same_reason_the_sentence_has_it(shared: Plant) -> None:
    shared.ask("planta", "users/create", user(2))
    answer = shared.ask("planta", "users/create", user(2, request_id="again"))

    assert (answer["success"], answer["status"], answer["code"]) == (False, 207, "all_failed")
    assert answer["error"] == "Ningún dispositivo del grupo 'planta' lo hizo: user_id '2' ya existe."
    assert [each["code"] for each in answer["results"]] == ["user_exists"] * 2


def test_where_all_fail_for_different_reasons_the_results_have_them(plant: Plant) -> None:
    plant.ask("principal", "users/create", user(3))
    plant.entrada.power_off()
    answer = plant.ask("planta", "users/create", user(3, request_id="group"))

    assert answer["code"] == "all_failed"
    assert answer["error"] == "Ningún dispositivo del grupo 'planta' lo hizo; vea results."
    exists, away = answer["results"]
    assert exists["code"] == "user_exists"
    assert (away["code"], away["status"], away["retryable"], away["effect"]) == (
        "device_unreachable",
        500,
        True,
        "none",
    )


def test_a_member_that_cannot_hold_it_answers_for_itself(make: Callable[..., Any]) -> None:
    plant = make(entrada={"encoding": "gbk"})
    with plant.daemon:
        answer = plant.ask("planta", "users/create", user(4, name="Ñandú"))
        nobody = plant.ask("planta", "users/create", user(5, name="x" * 40))

    created, unfit = answer["results"]
    assert (answer["code"], created["code"], unfit["code"]) == ("partial", "created", "invalid_field")
    assert [fault["field"] for fault in unfit["errors"]] == ["name"]
    # What is wrong everywhere was not begun anywhere: the answer is that of a device.
    assert (nobody["status"], nobody["code"]) == (400, "invalid_field")
    assert "results" not in nobody
    assert users_of(plant.principal, plant.entrada) == [["4"], []]


def test_an_offline_member_costs_the_other_nothing(plant: Plant) -> None:
    plant.entrada.power_off()
    answer = plant.ask("planta", "users/create", user(6))

    assert answer["code"] == "partial"
    assert [each["code"] for each in answer["results"]] == ["created", "device_unreachable"]
    assert users_of(plant.principal) == [["6"]]


def example_id(name: str, number: int) -> str:
    """The user of this number, or, for a list of new users, one whom no terminal has."""
    return str(number + 100 * (name == "users/create-many"))


@pytest.mark.parametrize("name", FOR_GROUPS)
def test_every_command_that_may_be_repeated_can_be_asked_of_a_group(shared: Plant, name: str) -> None:
    number = 100 + FOR_GROUPS.index(name)
    shared.ask("planta", "users/create", user(number))
    example = example_request(COMMANDS[name]) if COMMANDS[name].required else {}
    if "user_id" in COMMANDS[name].params.model_fields:
        example["user_id"] = str(number + 100 * COMMANDS[name].creates_user)
    if name == "users/plan":  # without users it asks for the last document, of which there is none
        example["users"] = [{"user_id": str(number), "name": "Ana"}]
    if name == "users/delete-finger":
        for terminal in (shared.principal, shared.entrada):
            terminal.add_template(str(number), example["finger_index"])
    if name == "attendance/clear":
        example["total"] = 0
    if name == "device/delete-backup":
        for device in ("principal", "entrada"):
            Backups(shared.daemon.state / "backups" / device).write(
                b"", datetime(2030, 1, 31, 8, tzinfo=UTC).timestamp()
            )
    if COMMANDS[name].each is not None:
        example["users"] = [row | {"user_id": example_id(name, number)} for row in example["users"][:1]]

    answer = shared.ask("planta", name, {**example, "request_id": name})

    assert (answer["status"], answer["code"]) == (200, COMMANDS[name].code), answer
    assert [each["device_id"] for each in answer["results"]] == ["principal", "entrada"]
    assert all(each["code"] == COMMANDS[name].code for each in answer["results"])
    assert answer["message"]


def test_the_lists_of_a_group_share_the_room_of_one_reply(make: Callable[..., Any]) -> None:
    plant = make(mqtt={"max_reply": 4096})
    for terminal in (plant.principal, plant.entrada):
        terminal.fill_users(60)
    seen: dict[str, list[Any]] = {"principal": [], "entrada": []}
    with plant.daemon:
        plant.publish("planta", "users/list", b"")
        message = plant.caller.wait_for("zk/planta/users/list/reply", timeout=PATIENCE_S)
        assert len(message.payload) <= 4096
        for part in message.json["results"]:
            seen[part["device_id"]] += part["data"]
            assert part["total"] == 60
            assert part["next_offset"] == len(part["data"]) > 5


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in FOR_GROUPS])
@pytest.mark.parametrize(("language", "start"), [("es", "El comando "), ("en", "The command ")])
def test_what_must_not_happen_twice_is_not_asked_of_a_group(
    make: Callable[..., Any], name: str, language: str, start: str
) -> None:
    door = {"door": {"enabled": True}}
    plant = make(language=language, principal=door, entrada=door)
    fields = {"user_id": "1", "finger_index": 1, "to": ["patio"]}
    body = {key: value for key, value in fields.items() if key in COMMANDS[name].params.model_fields}
    with plant.daemon:
        answer = plant.ask("planta", name, {**body, "request_id": "no"})

    assert (answer["status"], answer["code"], answer["request_id"]) == (403, "forbidden", "no")
    assert answer["error"].startswith(start)
    assert plant.principal.counts[Command.UNLOCK] == plant.entrada.counts[Command.UNLOCK] == 0
    assert plant.principal.connections_accepted == 0


def test_the_policy_counts_for_a_group_as_for_a_device(make: Callable[..., Any]) -> None:
    plant = make(policy={"administrators": False, "commands": ["users/create"]})
    with plant.daemon:
        admin = plant.ask("planta", "users/create", user(1, privilege=14))
        listing = plant.ask("planta", "users/list", {})

    assert (admin["status"], admin["code"]) == (403, "forbidden")
    assert listing["error"] == "El comando 'users/list' no está permitido para 'planta'."
    assert users_of(plant.principal, plant.entrada) == [[], []]


# -- what a request may say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("catch_up", ["true", "", 1, 0, 1.5, [], {}, "sí"])
@pytest.mark.parametrize("to", ["planta", "principal"])
def test_an_odd_catch_up_is_refused(shared: Plant, to: str, catch_up: object) -> None:
    answer = shared.ask(to, "users/create", user(900, catch_up=catch_up, expires_at=in_s(60)))

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert answer["errors"] == [{"field": "catch_up", "message": "debe ser true o false"}]


@pytest.mark.parametrize("name", [name for name in LASTING if COMMANDS[name].each is None])
def test_catch_up_is_for_groups_and_lists_only(shared: Plant, name: str) -> None:
    body = {"user_id": "901", "name": "x", "finger_index": 1}
    body |= {"catch_up": True, "expires_at": in_s(60), "request_id": "c"}
    body = {key: value for key, value in body.items() if key in COMMANDS[name].params.model_fields}
    answer = shared.ask("principal", name, body)

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert answer["errors"] == [{"field": "catch_up", "message": "solo vale para un grupo de dispositivos"}]


@pytest.mark.parametrize("name", [name for name in FOR_GROUPS if name not in LASTING])
def test_what_is_worth_nothing_later_has_no_catch_up(shared: Plant, name: str) -> None:
    example = example_request(COMMANDS[name]) if COMMANDS[name].required else {}
    answer = shared.ask("planta", name, {**example, "catch_up": True, "expires_at": in_s(60)})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert [each["field"] for each in answer["errors"]] == ["catch_up"]


@pytest.mark.parametrize(
    ("expires_at", "rule"),
    [
        (None, "es requerido con catch_up"),
        (604_800 + 60, "con catch_up no puede estar a más de 604800 segundos de ahora"),
        ("tomorrow", "debe ser una fecha ISO 8601 con desfase horario, por ejemplo 2030-01-31T08:00:00+00:00"),
        ("2030-01-31", "debe ser una fecha ISO 8601 con desfase horario, por ejemplo 2030-01-31T08:00:00+00:00"),
    ],
)
def test_catch_up_needs_an_end_that_is_remembered(shared: Plant, expires_at: int | str | None, rule: str) -> None:
    when = in_s(expires_at) if isinstance(expires_at, int) else expires_at
    answer = shared.ask("planta", "users/create", user(902, catch_up=True, expires_at=when))

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert answer["errors"] == [{"field": "expires_at", "message": rule}]


def test_catch_up_false_or_null_is_as_good_as_absent(shared: Plant) -> None:
    for number, value in ((903, False), (904, None)):
        assert shared.ask("planta", "users/create", user(number, catch_up=value))["code"] == "created"
    assert shared.ask("principal", "users/create", user(905, catch_up=False))["code"] == "created"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "body_required"),
        (b"\xff", "body_required"),
        (b"[]", "body_required"),
        (b'{"user_id":"1","user_id":"2","name":"x"}', "body_required"),
        (b"{}", "missing_fields"),
        (b'{"user_id":"1","nombre":"x"}', "missing_fields"),
        (b'{"user_id":"1","name":"x","privilege":3}', "invalid_field"),
        (b'{"user_id":"1","name":"x","device":"principal"}', "invalid_field"),
        (b" " * 70_000, "payload_too_large"),
    ],
)
def test_what_a_device_refuses_unread_a_group_refuses_too(shared: Plant, payload: bytes, code: str) -> None:
    answer = shared.ask("planta", "users/create", payload)

    assert answer["code"] == code
    assert "results" not in answer


def test_a_retained_request_for_a_group_is_refused(make: Callable[..., Any]) -> None:
    plant = make(mqtt={"protocol": "3.1.1"})
    plant.publish("planta", "users/create", user(1), retain=True)
    with plant.daemon:
        assert plant.reply("planta")["code"] == "retained_refused"
    assert users_of(plant.principal, plant.entrada) == [[], []]


def test_the_answer_for_an_unknown_device_lists_groups_too(shared: Plant) -> None:
    answer = shared.ask("bodega", "users/create", user(1))

    assert (answer["status"], answer["disponibles"]) == (404, ["principal", "entrada", "patio", "planta"])


# -- ids, copies, time ---------------------------------------------------------------------------------------------


def test_the_same_request_id_is_carried_out_once(shared: Plant) -> None:
    first = shared.ask("planta", "users/create", user(20))
    second = shared.ask("planta", "users/create", user(20))
    other = shared.ask("planta", "users/create", user(20, name="Other"))
    waits = shared.ask("planta", "users/create", user(20, catch_up=True, expires_at=in_s(60)))

    assert second == {**first, "replayed": True}
    assert (other["status"], other["code"]) == (409, "request_id_reused")
    assert (waits["status"], waits["code"]) == (409, "request_id_reused")
    assert [ids.count("20") for ids in users_of(shared.principal, shared.entrada)] == [1, 1]


def test_a_members_own_request_id_is_another_matter(shared: Plant) -> None:
    shared.ask("planta", "users/create", user(21, request_id="same"))
    own = shared.ask("principal", "users/create", user(22, request_id="same"))

    assert own["code"] == "created"
    assert "replayed" not in own


def test_copies_that_come_while_it_is_under_way_get_the_one_answer(plant: Plant) -> None:
    reached, release = threading.Event(), threading.Event()
    plant.entrada.faults.add("USER_WRQ", "before", lambda _: reached.set() or release.wait(PATIENCE_S))
    plant.publish("planta", "users/create", user(1))
    assert reached.wait(PATIENCE_S)
    for number in range(3):
        plant.publish("planta", "users/create", user(1), correlation_data=bytes([number]))
    wait_until(lambda: plant.daemon.log.count("under way") == 3, what="the copies")
    assert plant.heard("zk/planta/users/create/reply") == []
    release.set()
    answers = [plant.reply("planta") for _ in range(4)]

    assert {answer["code"] for answer in answers} == {"created"}
    assert sorted(answer.get("replayed", False) for answer in answers) == [False, True, True, True]
    assert users_of(plant.principal, plant.entrada) == [["1"], ["1"]]


def test_a_request_that_came_too_late_is_not_begun(shared: Plant) -> None:
    answer = shared.ask("planta", "users/create", user(23, expires_at=in_s(-1)))

    assert (answer["status"], answer["code"]) == (408, "expired")
    assert "results" not in answer


def test_a_member_that_gets_to_it_too_late_answers_expired(make: Callable[..., Any]) -> None:
    plant = make(principal={"timeout": 60}, retry={"deadline": 120})
    reached, release = threading.Event(), threading.Event()
    plant.principal.faults.add("USER_WRQ", "before", lambda _: reached.set() or release.wait(2 * PATIENCE_S))
    with plant.daemon:
        plant.publish("principal", "users/create", user(1))
        assert reached.wait(PATIENCE_S)
        for seconds in (1, 2, 4, 8, 16):  # until this machine has taken it on in time
            until = in_s(seconds)
            plant.publish("planta", "users/create", user(2, expires_at=until, request_id=f"s{seconds}"))
            wait_until(lambda s=seconds: f"request_id=s{s}" in plant.daemon.log, what="the request")
            wait_until(lambda when=until: in_s(0) > when, timeout=20, what="the request to expire")
            if users_of(plant.entrada) == [["2"]]:
                break
        release.set()
        answer = plant.reply("planta", where=lambda answer: answer["request_id"] == f"s{seconds}")

    assert answer["code"] == "partial"
    assert [each["code"] for each in answer["results"]] == ["expired", "created"]


# -- full queues ---------------------------------------------------------------------------------------------------


def test_a_full_queue_is_that_members_answer(make: Callable[..., Any]) -> None:
    plant = make(queue_limit=1, principal={"timeout": 10})
    reached, release = threading.Event(), threading.Event()
    plant.principal.faults.add("USER_WRQ", "before", lambda _: reached.set() or release.wait(PATIENCE_S))
    with plant.daemon:
        plant.publish("principal", "users/create", user(1))
        assert reached.wait(PATIENCE_S)
        answer = plant.ask("planta", "users/create", user(2))
        release.set()
        plant.reply("principal")

    busy, done = answer["results"]
    assert (answer["code"], done["code"]) == ("partial", "created")
    assert (busy["status"], busy["code"], busy["retryable"]) == (503, "busy", True)
    assert busy["retry_after_s"] >= 1


def test_where_every_queue_is_full_nothing_is_begun_and_it_may_be_asked_again(make: Callable[..., Any]) -> None:
    plant = make(queue_limit=1, principal={"timeout": 10}, entrada={"timeout": 10})
    reached, release = threading.Semaphore(0), threading.Event()
    for terminal in (plant.principal, plant.entrada):
        terminal.faults.add("USER_WRQ", "before", lambda _: reached.release() or release.wait(PATIENCE_S))
    with plant.daemon:
        plant.publish("planta", "users/create", user(1))
        assert reached.acquire(timeout=PATIENCE_S)
        assert reached.acquire(timeout=PATIENCE_S)
        busy = plant.ask("planta", "users/create", user(2))
        release.set()
        plant.reply("planta", where=lambda answer: answer["request_id"] == "r1")
        again = plant.ask("planta", "users/create", user(2))

    assert (busy["status"], busy["code"], busy["retryable"]) == (503, "busy", True)
    assert "results" not in busy
    assert again["code"] == "created"


# -- the other things that know groups -----------------------------------------------------------------------------


def test_info_has_the_groups(shared: Plant) -> None:
    def is_its_own(message: Message) -> bool:  # the broker may have kept what another bridge of the tests said
        return message.json["devices"] == ["principal", "entrada", "patio"]

    info = shared.caller.wait_for("zk/bridge/info", is_its_own, timeout=PATIENCE_S).json

    assert info["groups"] == {"planta": ["principal", "entrada"]}


def test_a_bridge_among_others_subscribes_to_its_own_groups(make: Callable[..., Any]) -> None:
    plant = make(mqtt={"unknown_devices": "ignore"})
    with plant.daemon:
        plant.publish("fabrica", "users/create", user(1))
        assert plant.ask("planta", "users/create", user(2))["code"] == "created"
    assert plant.heard("zk/fabrica/users/create/reply") == []


def test_a_response_topic_below_the_group_is_allowed(shared: Plant) -> None:
    body, where = json.dumps(user(30)), "zk/planta/replies/mine"
    shared.caller.publish("zk/planta/users/create", body, response_topic=where, correlation_data=b"\0\1")
    message = shared.caller.wait_for(where, timeout=PATIENCE_S)

    assert (message.json["code"], message.correlation_data) == ("created", b"\0\1")


# -- a changed file ------------------------------------------------------------------------------------------------


def reload(plant: Plant, **more: Any) -> None:
    """Have the daemon read another file; returns when it has."""
    mark = len(plant.daemon.log)
    plant.daemon.config |= more
    (plant.daemon.folder / "config.yaml").write_text(json.dumps(plant.daemon.config))
    os.kill(plant.daemon.pid, signal.SIGHUP)
    wait_until(lambda: " reloaded: " in plant.daemon.log[mark:], timeout=PATIENCE_S, what="the reload")


def test_groups_are_taken_over_without_a_restart(make: Callable[..., Any]) -> None:
    plant = make(mqtt={"unknown_devices": "ignore"})
    with plant.daemon:
        reload(plant, groups={"todo": ["patio", "principal"]})
        # It can be asked from here on: the bridge subscribes before it tells.
        info = plant.caller.wait_for("zk/bridge/info", lambda m: "todo" in m.json["groups"], timeout=PATIENCE_S).json
        answer = plant.ask("todo", "users/create", user(1))
        plant.publish("planta", "users/create", user(2))

    assert [each["device_id"] for each in answer["results"]] == ["patio", "principal"]
    assert info["groups"] == {"todo": ["patio", "principal"]}
    assert plant.heard("zk/planta/users/create/reply") == []
    assert "reloaded: groups: planta, todo" in plant.daemon.log


def test_a_group_that_changes_does_not_change_what_is_under_way(make: Callable[..., Any]) -> None:
    plant = make(principal={"timeout": 20})
    reached, release = threading.Event(), threading.Event()
    plant.principal.faults.add("USER_WRQ", "before", lambda _: reached.set() or release.wait(PATIENCE_S))
    with plant.daemon:
        plant.publish("planta", "users/create", user(1))
        assert reached.wait(PATIENCE_S)
        reload(plant, groups={"planta": ["patio"]})
        again = plant.ask("planta", "users/create", user(2))
        release.set()
        answer = plant.reply("planta")

    assert [each["device_id"] for each in again["results"]] == ["patio"]
    assert [each["device_id"] for each in answer["results"]] == ["principal", "entrada"]
    assert answer["code"] == "created"
    assert users_of(plant.principal, plant.entrada, plant.patio) == [["1"], ["1"], ["2"]]


def test_a_member_that_is_removed_meanwhile_answers_device_not_found(make: Callable[..., Any]) -> None:
    plant = make(entrada={"port": closed_port()}, retry={"attempts": 100, "initial_delay": 5, "max_delay": 5})
    with plant.daemon:
        plant.publish("planta", "users/create", user(1))
        wait_until(lambda: "attempt 1 of 100 failed" in plant.daemon.log, what="the first attempt")
        wait_until(lambda: users_of(plant.principal) == [["1"]], what="the other member")
        devices = {name: each for name, each in plant.daemon.config["devices"].items() if name != "entrada"}
        reload(plant, devices=devices, groups={"planta": ["principal"]})
        answer = plant.reply("planta")

    assert answer["code"] == "partial"
    assert [each["code"] for each in answer["results"]] == ["created", "device_not_found"]


def test_a_wrong_group_is_refused_and_everything_goes_on(plant: Plant) -> None:
    mark = len(plant.daemon.log)
    plant.daemon.config["groups"] = {"planta": ["principal", "entrda"]}
    (plant.daemon.folder / "config.yaml").write_text(json.dumps(plant.daemon.config))
    os.kill(plant.daemon.pid, signal.SIGHUP)
    wait_until(lambda: "going on with" in plant.daemon.log[mark:], timeout=PATIENCE_S, what="the refusal")

    assert "groups.planta.1: 'entrda' is no device (did you mean entrada?)" in plant.daemon.log
    assert len(plant.ask("planta", "users/create", user(1))["results"]) == 2
