"""users/copy between terminals of every kind: record and templates arrive as they were, or are refused by name."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.frames import wait_for_session_end
from tests.support.waiting import wait_until
from tests.transfer.conftest import INDEX, PATIENCE_S, THUMB, House, enrol_ana, people_of
from zkbridge.simulator import Command

#: Records of 72 and of 28 bytes, with templates of one algorithm.
KINDS = [("tft", "tcp"), ("tft", "udp"), ("ma300", "tcp"), ("ma300", "udp")]
COPY = {"user_id": "7", "to": ["there"]}


def only(answer: dict[str, Any]) -> dict[str, Any]:
    """The one entry of the results."""
    (entry,) = answer["results"]
    return entry


@pytest.mark.parametrize("theirs", KINDS, ids="-".join)
@pytest.mark.parametrize("ours", KINDS, ids="-".join)
def test_a_user_arrives_with_record_and_fingers_under_a_uid_of_the_target(
    make: Callable[..., House], ours: tuple[str, str], theirs: tuple[str, str]
) -> None:
    house = make({"here": ours, "there": theirs})
    enrol_ana(house["here"])
    house["there"].add_user("500", "Luis")
    with house.daemon:
        answer = house.ask("here", "users/copy", {**COPY, "request_id": "c"})
        wait_for_session_end(house["there"])

    entry = {
        "device_id": "there",
        "user_id": "7",
        "success": True,
        "message": "Usuario '7' copiado.",
        "data": {"user_id": "7", "name": "Ana", "fingers": [0, 6], "removed_fingers": [], "device_id": "there"},
        "status": 200,
        "code": "copied",
    }
    whole = {"success": True, "message": "Usuario '7' copiado.", "results": [entry], "status": 200, "code": "copied"}
    assert answer == {**whole, "request_id": "c"}
    assert [each for each in people_of(house["there"]) if each[0] == "7"] == people_of(house["here"])
    assert len(house["there"].users()) == 2
    assert not house["there"].disabled


def test_a_user_who_is_there_is_refused_completed_or_replaced(make: Callable[..., House]) -> None:
    house = make()
    enrol_ana(house["here"])
    there = house["there"]
    there.add_user("7", "Another")
    there.add_template("7", 0, b"another thumb")
    there.add_template("7", 3, b"a third finger")
    with house.daemon:
        refused = only(house.ask("here", "users/copy", COPY))
        unchanged = people_of(there)
        replaced = only(house.ask("here", "users/copy", {**COPY, "overwrite": True}))
        there.machine.terminal.fingers.stored.pop((there.users()[0].uid, 6))
        completed = only(house.ask("here", "users/copy", COPY))
        wait_for_session_end(there)
        writes = there.counts[Command.USER_WRQ]
        again = only(house.ask("here", "users/copy", COPY))
        wait_for_session_end(there)
        assert there.counts[Command.USER_WRQ] == writes

    assert (refused["status"], refused["code"], refused["error"]) == (409, "user_exists", "user_id '7' ya existe.")
    assert unchanged[0][1] == "Another"
    assert replaced["code"] == completed["code"] == again["code"] == "copied"
    assert (replaced["data"]["removed_fingers"], completed["data"]["removed_fingers"]) == ([3], [])
    assert people_of(there) == people_of(house["here"])


def test_without_fingers_only_the_record_goes_along(make: Callable[..., House]) -> None:
    house = make({"here": ("tft", "tcp"), "there": ("bw", "tcp")})
    enrol_ana(house["here"])
    with house.daemon:
        refused = only(house.ask("here", "users/copy", COPY))
        nobody = people_of(house["there"])
        copied = only(house.ask("here", "users/copy", {**COPY, "fingers": False}))
        house["there"].add_template("7", 3, b"a finger of the target")
        house.ask("here", "users/update", {"user_id": "7", "name": "Eva"})
        again = only(house.ask("here", "users/copy", {**COPY, "fingers": False, "overwrite": True}))
        wait_for_session_end(house["there"])

    assert (again["code"], again["data"]["removed_fingers"]) == ("copied", [])
    assert (refused["status"], refused["code"]) == (409, "algorithm_differs")
    assert nobody == []
    assert copied["data"]["fingers"] == []
    assert [each[:2] for each in people_of(house["there"])] == [("7", "Eva")]
    assert [index for _, index in house["there"].templates()] == [3]


@pytest.mark.parametrize(
    ("user_id", "name", "password", "field"),
    [
        ("A7", "Ana", "", "user_id"),
        ("007", "Ana", "", "user_id"),
        ("7", "Anastasia", "", "name"),
        ("7", "Ana", "123456", "password"),
    ],
)
def test_what_does_not_fit_the_target_is_refused_by_field(
    make: Callable[..., House], user_id: str, name: str, password: str, field: str
) -> None:
    house = make({"here": ("tft", "tcp"), "there": ("ma300", "tcp")})
    house["here"].add_user(user_id, name, password=password)
    with house.daemon:
        entry = only(house.ask("here", "users/copy", {"user_id": user_id, "to": ["there"]}))

    assert entry["code"] == "invalid_field"
    assert [each["field"] for each in entry["errors"]] == [field]
    assert house["there"].users() == []


def test_a_name_is_cut_where_the_target_cuts_names(make: Callable[..., House]) -> None:
    house = make({"here": ("tft", "tcp"), "there": ("ma300", "tcp")}, settings={"there": {"name_overflow": "truncate"}})
    house["here"].add_user("7", "Anastasia")
    with house.daemon:
        entry = only(house.ask("here", "users/copy", COPY))

    assert entry["data"]["name"] == "Anastasi"
    assert [user.name for user in house["there"].users()] == ["Anastasi"]


@pytest.mark.parametrize(
    ("switch", "room", "said"), [("user_capacity", 1, "usuario"), ("finger_capacity", 1, "huella")]
)
def test_a_target_without_room_for_all_of_it_gets_nothing(
    make: Callable[..., House], switch: str, room: int, said: str
) -> None:
    house = make()
    enrol_ana(house["here"])
    house["there"].add_user("500", "Luis")
    house["there"].switches.update({switch: room})
    with house.daemon:
        entry = only(house.ask("here", "users/copy", COPY))

    assert entry["code"] == "device_full"
    assert said in entry["error"]
    assert [each[0] for each in people_of(house["there"])] == ["500"]


def test_a_finger_for_use_under_duress_never_becomes_an_ordinary_one(make: Callable[..., House]) -> None:
    house = make()
    enrol_ana(house["here"])
    house["there"].faults.add("TMP_WRITE", "before", "refuse", count=2)
    with house.daemon:
        refused = only(house.ask("here", "users/copy", COPY))
        wait_for_session_end(house["there"])
        held = people_of(house["there"])[0][6]
        completed = only(house.ask("here", "users/copy", COPY))

    assert (refused["code"], refused["missing_fingers"]) == ("copy_incomplete", [6])
    assert refused["effect"] == "unknown"  # the record was written, and the other finger
    assert held == [(0, 1, THUMB)]  # by the command that knows no flags
    assert completed["code"] == "copied"
    assert people_of(house["there"]) == people_of(house["here"])


def test_several_users_go_to_the_members_of_a_group_and_one_who_is_away_is_caught_up(
    make: Callable[..., House],
) -> None:
    kinds = {"here": ("tft", "tcp"), "there": ("tft", "tcp"), "away": ("tft", "tcp")}
    house = make(kinds, groups={"all": ["here", "there", "away"]})
    enrol_ana(house["here"])
    house["here"].add_user("8", "Eva")
    house["away"].power_off()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"user_ids": ["7", "8"], "to": ["all"], "catch_up": True, "expires_at": until, "request_id": "c"}
    with house.daemon:
        answer = house.ask("here", "users/copy", body)
        secrets = templates_on_disk(house)
        house["away"].power_on()
        house.publish("away", "ping", {})
        late = [house.reply("away", "users/copy") for _ in range(2)]
        wait_until(lambda: templates_on_disk(house) == [], timeout=PATIENCE_S, what="the templates to be wiped")
        log = house.daemon.log

    assert (answer["status"], answer["code"]) == (207, "partial")
    assert answer["error"] == "Hecho en 2 de 4 destinos, 2 en espera; vea results."
    assert [(each["device_id"], each["user_id"], each["code"]) for each in answer["results"]] == [
        ("there", "7", "copied"),
        ("there", "8", "copied"),
        ("away", "7", "waiting"),
        ("away", "8", "waiting"),
    ]
    assert secrets  # as long as somebody waits for them
    assert sorted((each["data"]["user_id"], each["code"], each["request_id"]) for each in late) == [
        ("7", "copied", "c"),
        ("8", "copied", "c"),
    ]
    assert people_of(house["there"]) == people_of(house["away"]) == people_of(house["here"])
    said = log.encode() + b"".join(message.payload for message in house.caller.messages)
    assert not [each for each in (*shapes(THUMB), *shapes(INDEX), b"1234") if each in said]


def test_templates_are_wiped_from_the_disk_once_they_are_copied(make: Callable[..., House]) -> None:
    house = make()
    enrol_ana(house["here"])
    with house.daemon:
        assert only(house.ask("here", "users/copy", COPY))["code"] == "copied"
        wait_for_session_end(house["there"])
        asked = house["there"].counts
        # Each of the two fingers when it is written, which decides how, and after the refresh.
        assert (asked[Command.GET_USERTEMP], asked[Command.TMP_WRITE]) == (4, 2)
        wait_until(lambda: templates_on_disk(house) == [], timeout=PATIENCE_S, what="the templates to be wiped")


def test_the_dates_go_along_and_the_target_blocks_by_them(make: Callable[..., House]) -> None:
    trusted = {"validity": {"trust_clock": True}}
    house = make(settings={"here": trusted, "there": trusted})
    with house.daemon:
        end = (datetime.now() + timedelta(seconds=6)).isoformat(timespec="seconds")  # noqa: DTZ005 - a wall clock
        created = house.ask("here", "users/create", {"user_id": "7", "name": "Ana", "valid_until": end})
        assert created["code"] == "created"
        assert only(house.ask("here", "users/copy", COPY))["code"] == "copied"
        event = house.caller.wait_for("zk/there/users/event", timeout=PATIENCE_S).json

    assert (event["event"], event["user_id"], event["moment"]) == ("blocked", "7", end)
    assert house["there"].users()[0].privilege & 1


@pytest.mark.parametrize("user_id", ["404", "7"])
def test_nothing_is_written_where_a_user_cannot_be_read(make: Callable[..., House], user_id: str) -> None:
    house = make()
    enrol_ana(house["here"])
    if user_id == "7":
        house["here"].power_off()
    with house.daemon:
        answer = house.ask("here", "users/copy", {"user_ids": [user_id, "8"], "to": "there"})

    assert answer["code"] in ("user_not_found", "device_timeout", "device_unreachable")
    assert "results" not in answer
    assert house["there"].users() == []


def test_a_source_that_does_not_show_its_fingers_is_refused_and_none_is_left_out(
    make: Callable[..., House],
) -> None:
    house = make()
    house["here"].fill_users(101)
    for number in range(1, 102):
        house["here"].add_template(str(number), 6, INDEX)
    with house.daemon:
        for name in ("PREPARE_BUFFER", "GET_USERTEMP"):  # the first of these reads the table of users
            house["here"].faults.add(name, "before", "refuse", skip=int(name == "PREPARE_BUFFER"))
        refused = house.ask("here", "users/copy", COPY)
        house["here"].faults.clear()
        copied = only(house.ask("here", "users/copy", {**COPY, "fingers": False}))

    assert (refused["code"], "results" in refused) == ("device_rejected", False)
    assert copied["code"] == "copied"


def test_an_administrator_is_not_copied_where_the_policy_forbids_them(make: Callable[..., House]) -> None:
    house = make(policy={"administrators": False})
    house["here"].add_user("7", "Ana", privilege=14)
    with house.daemon:
        assert house.ask("here", "users/copy", COPY)["code"] == "forbidden"

    assert house["there"].users() == []


@pytest.mark.parametrize(
    ("body", "code", "fields"),
    [
        ({"user_id": "7"}, "missing_fields", []),
        ({"to": ["there"]}, "invalid_field", ["user_id"]),
        ({"user_id": "7", "user_ids": ["7"], "to": ["there"]}, "invalid_field", ["user_id"]),
        ({"user_ids": [], "to": ["there"]}, "invalid_field", ["user_ids"]),
        ({"user_ids": ["7", 7], "to": ["there"]}, "invalid_field", ["user_ids"]),
        ({"user_ids": [["7"]], "to": ["there"]}, "invalid_field", ["user_ids"]),
        ({"user_ids": [str(n) for n in range(101)], "to": ["there"]}, "invalid_field", ["user_ids"]),
        ({"user_id": "7", "to": []}, "invalid_field", ["to"]),
        ({"user_id": "7", "to": ["there", "there"]}, "invalid_field", ["to"]),
        ({"user_id": "7", "to": [7]}, "invalid_field", ["to"]),
        ({"user_id": "7", "to": ["a/b"]}, "invalid_field", ["to"]),
        ({"user_id": "7", "to": ["here"]}, "invalid_field", ["to"]),
        ({"user_id": "7", "to": ["alone"]}, "invalid_field", ["to"]),
        ({"user_id": "7", "to": ["nowhere", "there"]}, "invalid_field", ["to"]),
        ({"user_id": "7", "to": ["there"], "fingers": "yes"}, "invalid_field", ["fingers"]),
        ({"user_id": "7", "to": ["there"], "catch_up": True}, "invalid_field", ["expires_at"]),
    ],
)
def test_a_wrong_request_is_refused_by_field(asked: House, body: dict[str, Any], code: str, fields: list[str]) -> None:
    answer = asked.ask("here", "users/copy", body)

    assert answer["code"] == code
    assert [each["field"] for each in answer.get("errors", [])] == fields
    assert asked["here"].connections_accepted == 0


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, shared_broker: Any) -> Any:
    """One house for requests that never reach a terminal."""
    kinds = {"here": ("tft", "tcp"), "there": ("tft", "tcp")}
    house = House(tmp_path_factory.mktemp("asked"), shared_broker, kinds, groups={"alone": ["here"]})
    with house.daemon:
        yield house
    house.close()


def shapes(template: bytes) -> tuple[bytes, ...]:
    """Pieces of a template as they would stand somewhere: as they are, as base64 at any offset, as hexadecimal."""
    inner = template[30:60]
    return (inner, base64.b64encode(template)[40:70], inner.hex().encode())


def templates_on_disk(house: House) -> list[str]:
    """The files of the state folder that hold a piece of a template."""
    pieces = (*shapes(THUMB), *shapes(INDEX))
    files = [path for path in house.daemon.state.rglob("*") if path.is_file()]
    return [path.name for path in files if any(piece in path.read_bytes() for piece in pieces)]
