"""users/create-many, users/update-many, users/delete-many on each kind of terminal: each row stands by itself."""

from typing import Any

import pytest

from tests.commands.conftest import Site, said
from tests.support.frames import asked, wait_for_session_end
from zkbridge.simulator import Command, SimulatedTerminal


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"user_id": str(number), "name": f"User {number % 10}"} for number in range(first, first + count)]


def ids(terminal: SimulatedTerminal) -> list[str]:
    return [str(user.user_id) for user in terminal.users()]


def test_a_list_is_created_changed_and_deleted_with_one_session_each(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    people = rows(1, 40)
    for command, body, code, frame in (
        ("users/create-many", people, "created", "USER_WRQ"),
        ("users/update-many", [{"user_id": each["user_id"], "card": 5} for each in people], "updated", "USER_WRQ"),
        ("users/delete-many", [{"user_id": each["user_id"]} for each in people], "deleted", "DELETE_USER"),
    ):
        wait_for_session_end(terminal)
        seen = len(terminal.log)

        answer = site.ask(kind, command, {"users": body, "request_id": f"{kind}-{command}"})

        wait_for_session_end(terminal)
        frames = asked(terminal, since=seen)
        assert answer == {
            "success": True,
            "message": said(
                site, "Hecho para todos los usuarios de la lista (40).", "Done for all users of the list (40)."
            ),
            "results": [
                {"user_id": each["user_id"], "status": 200, "code": code}
                | ({"name": each["name"]} if code == "created" else {})
                for each in people
            ],
            "status": 200,
            "code": code,
            "request_id": f"{kind}-{command}",
        }
        assert frames.count(frame) == 40
        assert (frames.count("CONNECT"), frames.count("DISABLE")) == (1, 1)
        assert len(frames) <= 40 + 20
        if code == "updated":
            assert [user.card for user in terminal.users()][1:] == [5] * 40
        else:
            assert len(ids(terminal)) == (41 if code == "created" else 1)


def test_a_row_that_fails_fails_alone(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    answer = site.ask(
        kind,
        "users/create-many",
        {
            "users": [
                {"user_id": "1", "name": "Ana"},
                {"user_id": "700", "name": "Eva"},
                {"user_id": "2", "name": "Eva", "privilege": 3},
                {"user_id": "3"},
                {"user_id": "1", "name": "Eva"},
                {"user_id": "\u0661", "name": "Eva"},
                {"user_id": 4, "name": "Zoe", "password": "98761", "card": "815"},
                {"user_id": "5", "name": "Zoe", "request_id": "r-5"},
                {"user_id": "6", "name": "x" * 25},
                {"user_id": [], "name": "Zoe"},
                "Zoe",
            ],
            "request_id": f"alone-{kind}",
        },
    )

    assert (answer["success"], answer["status"], answer["code"]) == (False, 207, "partial")
    assert answer["error"] == said(
        site,
        "Hecho para 2 de 11 usuarios de la lista; vea results.",
        "Done for 2 of 11 users of the list; see results.",
    )
    assert [(each["user_id"], each["status"], each["code"]) for each in answer["results"]] == [
        ("1", 200, "created"),
        ("700", 409, "user_exists"),
        ("2", 400, "invalid_field"),
        ("3", 400, "missing_fields"),
        ("1", 400, "invalid_field"),
        ("1", 400, "invalid_field"),
        ("4", 200, "created"),
        ("5", 400, "invalid_field"),
        ("6", 400, "invalid_field"),
        (None, 400, "invalid_field"),
        (None, 400, "body_required"),
    ]
    results = answer["results"]
    assert results[0] == {"user_id": "1", "status": 200, "code": "created", "name": "Ana"}
    assert results[1]["error"] == said(site, "user_id '700' ya existe.", "user_id '700' already exists.")
    assert results[4]["error"] == said(
        site, "user_id: ya está en una fila anterior de la lista", "user_id: is in an earlier row of the list"
    )
    assert [fault["field"] for fault in results[7]["errors"]] == ["request_id"]
    assert ids(terminal) == ["700", "1", "4"]
    zoe = terminal.users()[-1]
    assert (zoe.password, zoe.card) == ("98761", 815)
    assert "98761" not in str(answer)
    assert "98761" not in site.daemon.log


@pytest.mark.parametrize("users", [[], {}, "x", 1, [{}] * 5001])
def test_what_is_no_list_of_rows_is_refused_for_the_whole(site: Site, users: object) -> None:
    answer = site.ask("big-tcp", "users/delete-many", {"users": users})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert [fault["field"] for fault in answer["errors"]] == ["users"]
    assert "results" not in answer


def test_a_list_of_100_000_rows_is_over_the_limit_of_payloads(site: Site) -> None:
    answer = site.ask("big-tcp", "users/delete-many", {"users": [{"user_id": n} for n in range(100_000)]})

    assert (answer["status"], answer["code"]) == (413, "payload_too_large")


def test_a_list_whose_rows_are_all_refused_asks_no_terminal_and_leaves_the_request_id_free(site: Site) -> None:
    terminal = site.terminals["big-tcp"]
    wait_for_session_end(terminal)
    before = terminal.counts[Command.CONNECT]
    wrong = {"users": [{"user_id": "1"}], "request_id": f"free-{site.language}"}

    refused = site.ask("big-tcp", "users/create-many", wrong)
    assert (refused["status"], refused["code"]) == (207, "all_failed")
    assert refused["results"] == [
        {
            "user_id": "1",
            "status": 400,
            "code": "missing_fields",
            "error": said(site, "user_id y name son requeridos.", "user_id and name are required."),
        }
    ]
    assert terminal.counts[Command.CONNECT] == before

    right = {**wrong, "users": [{"user_id": "9001", "name": "Eva"}]}
    assert site.ask("big-tcp", "users/create-many", right)["code"] == "created"


def test_the_same_request_id_is_one_list(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    body = {"users": [*rows(1, 2), {"user_id": "700", "name": "Eva"}], "request_id": f"once-{kind}"}
    first = site.ask(kind, "users/create-many", body)
    again = site.ask(kind, "users/create-many", body)
    other = site.ask(kind, "users/create-many", {**body, "users": rows(1, 2)})

    assert again == {**first, "replayed": True}
    assert other["code"] == "request_id_reused"
    assert ids(terminal) == ["700", "1", "2"]


def test_a_reply_that_is_too_long_has_each_row_in_short_then_only_rows_that_failed(
    site: Site, terminal: SimulatedTerminal, kind: str
) -> None:
    """The site's replies have at most 4,096 bytes."""
    del terminal
    in_short = site.ask(kind, "users/create-many", {"users": rows(1, 70)})
    failed = site.ask(kind, "users/create-many", {"users": rows(1, 150)})

    assert [each["code"] for each in in_short["results"]] == ["created"] * 70
    assert in_short["results"][0] == {"user_id": "1", "status": 200, "code": "created"}
    assert (failed["code"], failed["status"]) == ("partial", 207)
    assert {each["code"] for each in failed["results"]} == {"user_exists"}
    assert failed["more_results"] == 150 - len(failed["results"])
    assert len(failed["results"]) > 60
