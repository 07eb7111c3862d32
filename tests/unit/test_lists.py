"""A list of users without a daemon: what each row asks for, and the one reply made of what became of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.contract.errors import DeviceTimeout, UserExists
from zkbridge.contract.groups import Said, together
from zkbridge.contract.messages import Reply, failed, succeeded
from zkbridge.contract.topics import Topics
from zkbridge.intake.lists import Listed, ListReader
from zkbridge.ledger.records import Part
from zkbridge.machine.clock import Clock

DEVICES = {
    "p": {"host": "127.0.0.1"},
    "q": {"host": "127.0.0.2", "user_id_charset": "any", "encoding": "latin-1"},
    "open": {"host": "127.0.0.3", "validity": {"trust_clock": True}},
}
UNTRUSTED = Clock(synchronised=lambda: False)


def read(to: str, command: str, *users: Any, **settings: Any) -> Listed:
    config = Config.model_validate({"devices": DEVICES, "groups": {"both": ["p", "q"]}, **settings})
    many = commands()[command].parse({"users": list(users), "request_id": "r"}, strict=True)
    return ListReader(config, commands(), Topics("zk"), UNTRUSTED).read(many, commands()[command], to)


def codes(listed: Listed) -> list[tuple[str, str | None, str]]:
    return [(each.device, each.user_id, each.reply.code if each.reply else "asked") for each in listed.parts]


def test_each_row_is_a_request_of_the_single_command() -> None:
    listed = read("p", "users/create-many", {"user_id": " 1 ", "name": "Ana", "password": 4711})

    assert listed.parts == (
        Part(
            "p",
            "zk/p/users/create/reply",
            None,
            "users/create",
            commands()["users/create"].parse({"user_id": "1", "name": "Ana", "password": "4711"}, strict=True).stored(),
            "1",
        ),
    )
    assert listed.reply is None
    assert "4711" not in repr(listed.parts)


ROWS: list[tuple[str, Any, str, str]] = [
    ("users/create-many", {"user_id": 2, "name": "Eva"}, "2", "asked"),
    ("users/create-many", {"user_id": "\u0661", "name": "Eva"}, "1", "invalid_field"),
    ("users/create-many", {"user_id": "2"}, "2", "missing_fields"),
    ("users/create-many", {"user_id": " ", "name": "Eva"}, "", "missing_fields"),
    ("users/create-many", {"name": "Eva"}, "", "missing_fields"),
    ("users/create-many", {"user_id": True, "name": "Eva"}, "", "invalid_field"),
    ("users/create-many", {"user_id": "a\u200bb", "name": "Eva"}, "a\\u200bb", "invalid_field"),
    ("users/create-many", {"user_id": "x", "name": "Eva"}, "x", "invalid_field"),
    ("users/create-many", {"user_id": "2", "name": "Eva", "privilege": 14}, "2", "forbidden"),
    ("users/create-many", {"user_id": "2", "name": "Eva", "nane": ""}, "2", "invalid_field"),
    ("users/create-many", {"user_id": "2", "name": "Eva", "expires_at": "2030-01-31T08:00:00Z"}, "2", "invalid_field"),
    ("users/create-many", {"user_id": "2", "name": "Eva", "catch_up": True}, "2", "invalid_field"),
    ("users/create-many", {"user_id": "2", "name": "Eva", "catch_up": None}, "2", "asked"),
    (
        "users/create-many",
        {"user_id": "2", "name": "Eva", "valid_until": "2030-01-31T08:00:00"},
        "2",
        "clock_untrusted",
    ),
    ("users/create-many", [], "", "body_required"),
    ("users/create-many", None, "", "body_required"),
    ("users/create-many", 2, "", "body_required"),
    ("users/update-many", {"user_id": "2"}, "2", "invalid_field"),
    ("users/update-many", {"user_id": "2", "card": "5"}, "2", "asked"),
    ("users/update-many", {"user_id": "\u0661", "card": "5"}, "1", "invalid_field"),
    ("users/delete-many", {"user_id": "2"}, "2", "asked"),
    ("users/delete-many", {"user_id": "2", "name": "Eva"}, "2", "invalid_field"),
]


@pytest.mark.parametrize(("command", "row", "user_id", "code"), ROWS)
def test_a_row_is_asked_for_or_has_its_reply(command: str, row: Any, user_id: str, code: str) -> None:
    beside: dict[str, dict[str, Any]] = {"create": {"name": "Ana"}, "update": {"card": 7}, "delete": {}}
    first = {"user_id": "1", **beside[command[6:12]]}

    listed = read("p", command, first, row, policy={"administrators": False})

    assert codes(listed) == [("p", "1", "asked"), ("p", user_id, code)]


def test_a_row_that_fits_one_member_only_is_the_other_ones_answer() -> None:
    listed = read("both", "users/create-many", {"user_id": "x1", "name": "Ana"}, {"user_id": "2", "name": "\u0416"})

    assert codes(listed) == [
        ("p", "x1", "invalid_field"),
        ("p", "2", "asked"),
        ("q", "x1", "asked"),
        ("q", "2", "invalid_field"),
    ]


def test_a_list_without_a_row_to_ask_for_is_answered_at_once() -> None:
    listed = read("both", "users/create-many", {"user_id": "1"}, {"name": "Ana"})

    assert listed.reply is not None
    body = json.loads(listed.reply.body)
    assert (body["code"], body["request_id"]) == ("all_failed", "r")
    assert [[row["user_id"] for row in member["results"]] for member in body["results"]] == [["1", None]] * 2


def test_lists_that_ask_for_the_same_have_equal_contents_and_others_do_not() -> None:
    one = {"user_id": "1", "name": "Ana", "password": "4711"}
    alike = {"user_id": 1, "name": " Ana", "password": 4711}
    contents = [read("p", "users/create-many", row).content for row in (one, alike, {**one, "password": "4712"})]

    assert contents[0] == contents[1] != contents[2]


def done(user_id: str) -> Reply:
    body = {"message": "Usuario registrado.", "data": {"user_id": user_id, "name": "Ana", "device_id": "p"}}
    return succeeded(body, code="created", request_id="r")


AWAY = failed(DeviceTimeout(host="192.168.1.205", port=4370), "es")
EXISTS = failed(UserExists(user_id="1"), "es", request_id="r")


def rows(*replies: Reply, device: str = "p") -> list[Said]:
    return [Said(device, reply, str(number)) for number, reply in enumerate(replies)]


@pytest.mark.parametrize(
    ("said", "status", "code", "english"),
    [
        (rows(done("0"), done("1")), 200, "created", "Done for all users of the list (2)."),
        (rows(done("0"), EXISTS), 207, "partial", "Done for 1 of 2 users of the list; see results."),
        (rows(AWAY, EXISTS), 207, "all_failed", "Done for no user of the list; see results."),
    ],
)
def test_the_reply_has_the_number_of_rows_that_were_done(
    said: list[Said], status: int, code: str, english: str
) -> None:
    reply = together("p", said, request_id="r", language="en")

    body = json.loads(reply.body)
    assert (reply.status, reply.code, body["status"], body["code"]) == (status, code, status, code)
    assert body.get("message", body.get("error")) == english


def test_a_failed_row_has_the_keys_of_the_single_error() -> None:
    (row,) = json.loads(together("p", rows(AWAY), request_id=None).body)["results"]

    assert row == {
        "user_id": "0",
        "status": 500,
        "code": "device_timeout",
        "error": "Connection timeout to device 192.168.1.205:4370",
        "retryable": True,
        "effect": "none",
    }


@pytest.mark.parametrize("room", [1_100, 2_000, 4_000, 8_000, 16_000, 32_000])
@pytest.mark.parametrize("replies", [[done("0")] * 100, [AWAY] * 100, [done("0"), AWAY] * 50])
def test_a_reply_keeps_within_its_room_and_counts_what_it_leaves_out(room: int, replies: list[Reply]) -> None:
    reply = together("p", rows(*replies), request_id="r" * 128, room=room)

    body = json.loads(reply.body)
    assert len(reply.body) <= room
    assert len(body["results"]) + body.get("more_results", 0) == 100
    if "more_results" in body:
        assert {each["code"] for each in body["results"]} <= {"device_timeout"}


@pytest.mark.parametrize("room", [4_000, 32_000])
def test_the_members_of_a_group_share_the_room(room: int) -> None:
    said = rows(*[AWAY] * 100) + rows(*[done("0")] * 100, device="q")

    reply = together("both", said, request_id="r", room=room)

    body = json.loads(reply.body)
    assert len(reply.body) <= room
    assert [(each["device_id"], each["code"]) for each in body["results"]] == [("p", "all_failed"), ("q", "created")]
    assert [len(each["results"]) + each.get("more_results", 0) for each in body["results"]] == [100, 100]
