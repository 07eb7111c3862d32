"""A list that the bridge tells in parts, as the command line puts it together."""

from collections.abc import Callable
from typing import Any

from zkbridge.cli.pages import ask_whole

REFUSAL = {"success": False, "error": "Connection timeout", "status": 500, "code": "device_timeout"}


def bridge(*answers: Any) -> tuple[Callable[..., Any], list[tuple[str, dict[str, Any]]]]:
    """What asks a bridge that gives these answers, and what it was asked."""
    asked: list[tuple[str, dict[str, Any]]] = []
    left = list(answers)

    def ask(device: str, body: dict[str, Any]) -> Any:
        asked.append((device, body))
        return left.pop(0)

    return ask, asked


def part(*rows: Any, following: int | None = None) -> dict[str, Any]:
    return {"success": True, "total": 9, "data": list(rows), **({"next_offset": following} if following else {})}


def test_every_part_is_asked_for_under_an_id_of_its_own() -> None:
    ask, asked = bridge(part("a", "b", following=2), part("c", following=3), part("d"))

    assert ask_whole(ask, "p", {"request_id": "r", "name": "x"}) == part("a", "b", "c", "d")
    assert [body.get("offset") for _, body in asked] == [None, 2, 3]
    assert len({body["request_id"] for _, body in asked}) == 3
    assert {body["name"] for _, body in asked} == {"x"}


def test_a_part_that_fails_is_the_answer() -> None:
    ask, _ = bridge(part("a", following=1), REFUSAL)

    assert ask_whole(ask, "p", {}) == REFUSAL


def test_a_bridge_that_does_not_move_on_is_not_followed_for_ever() -> None:
    ask, asked = bridge(part("a", following=1), part("b", following=1))

    assert ask_whole(ask, "p", {}) == part("a", "b")
    assert len(asked) == 2


def test_a_list_of_a_group_is_followed_at_the_device_that_has_more() -> None:
    ask, asked = bridge(
        {"success": True, "results": [{"device_id": "p"} | part("a", following=1), {"device_id": "q"} | part("x")]},
        part("b"),
    )

    assert [each["data"] for each in ask_whole(ask, "g", {})["results"]] == [["a", "b"], ["x"]]
    assert [device for device, _ in asked] == ["g", "p"]


def test_an_answer_that_is_no_list_stays_as_it_came() -> None:
    for answer in (REFUSAL, {"success": True, "data": {"a": 1}}, {"success": True, "next_offset": 3}, {"results": 5}):
        ask, asked = bridge(dict(answer))
        assert ask_whole(ask, "p", {}) == answer
        assert len(asked) == 1
