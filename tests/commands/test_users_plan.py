"""users/plan: the plan of the last document, or of the request's users; nothing is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.commands.test_port_of_lists import DEVICE, PortOfLists
from zkbridge.commands import Context, commands
from zkbridge.commands.api.claims import NoClaims
from zkbridge.contract.errors import BridgeError
from zkbridge.port.users import UserFields

ROWS: list[dict[str, Any]] = [{"user_id": "1", "name": "Ana", "card": 77}, {"user_id": "2", "name": "Eva"}]


class Kept(NoClaims):
    """Claims of a device with this last document; user 9 was named by an earlier one."""

    def __init__(self, document: dict[str, Any] | None, rows: list[Any] | None = None) -> None:
        self._document = document
        self._rows = rows

    def all(self) -> frozenset[str]:
        return frozenset({"9"})

    def rows(self, *_: Any) -> list[Any] | None:
        return self._rows

    def document(self) -> bytes | None:
        return None if self._document is None else json.dumps(self._document).encode()


def ask(claims: NoClaims, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    port = PortOfLists(UserFields("1", "Ana"), UserFields("9", "Old"), UserFields("8", "At the keypad"))
    asked = commands()["users/plan"]
    before = list(port.table)
    outcome = asked.run(port, asked.parse(fields, strict=True), Context(DEVICE, claims=claims, **more))
    assert port.table == before
    assert isinstance(outcome, dict)
    data = outcome["data"]
    assert isinstance(data, dict)
    return data


def test_the_users_of_the_request_are_planned_by_its_rules() -> None:
    data = ask(Kept(None), {"users": ROWS, "delete": "delete"})

    assert data == {
        "version": 0,
        "state": "planned",
        "dry_run": True,
        "added": ["2"],
        "changed": [{"user_id": "1", "fields": ["card"]}],
        "blocked": [],
        "unblocked": [],
        "deleted": ["9"],
        "kept": 1,
        "failed": [],
        "device_id": "p",
        "counts": {"added": 1, "changed": 1, "blocked": 0, "unblocked": 0, "deleted": 1, "failed": 0},
        "over_limit": True,
    }


@pytest.mark.parametrize("parts", [False, True])
def test_without_users_the_last_document_is_planned_as_it_says(*, parts: bool) -> None:
    content: dict[str, Any] = {"parts": ["0" * 64], "source": "g"} if parts else {"users": ROWS}
    rules: dict[str, Any] = {"version": 7, "apply": True, "delete": "block", "delete_limit": 50}
    claims = Kept({**rules, **content}, ROWS)

    data = ask(claims, {})

    assert (data["version"], data["state"], data["dry_run"]) == (7, "planned", True)
    assert (data["added"], data["blocked"], data["over_limit"]) == (["2"], ["9"], False)


@pytest.mark.parametrize(
    ("claims", "fields", "code", "message"),
    [
        (Kept(None), {}, "no_document", "There is no document of users for this device."),
        (Kept({"version": 1, "parts": ["0" * 64], "source": "g"}), {}, "no_document", ""),
        (Kept(None), {"users": []}, "invalid_field", "users: must be a list of 1 to 5000 objects"),
        (Kept(None), {"users": [*ROWS, ROWS[0]]}, "invalid_field", "users: "),
        (Kept(None), {"users": [{**ROWS[0], "card": -1}]}, "invalid_field", "users[0].card: "),
        (
            Kept(None),
            {"users": [ROWS[0], {**ROWS[1], "privilige": 14}]},
            "invalid_field",
            "users[1].privilige: unknown",
        ),
        (Kept(None), {"users": [{**ROWS[0], "language": "en"}]}, "invalid_field", "users[0].language: unknown"),
        (
            Kept({"version": 7, "parts": ["0" * 64], "source": "g"}, [*ROWS, ROWS[0]]),
            {},
            "document_ambiguous",
            "Two rows are the same user: users[0], users[2].",
        ),
        (Kept(None), {"users": ROWS, "delete": "all"}, "invalid_field", "delete: "),
        (Kept(None), {"users": ROWS, "version": 7}, "invalid_field", "version: "),
    ],
)
def test_a_plan_is_refused(claims: NoClaims, fields: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(BridgeError) as refused:
        ask(claims, fields)

    assert refused.value.code == code
    assert refused.value.sentence("en").startswith(message)


def test_lists_that_do_not_fit_are_cut_and_their_counts_whole() -> None:
    rows = [{"user_id": str(number), "name": "A"} for number in range(100, 1100)]

    data = ask(Kept(None), {"users": rows}, room=2_000)

    assert data["more"] is True
    assert 0 < len(data["added"]) < 1_000 == data["counts"]["added"]
