"""A user is created whose id or PIN cannot be typed at the terminal's numeric keypad.

Source: attack on 7bb949d, 2026-11
"""

from typing import Any

import pytest

from tests.field.conftest import FieldSite
from zkbridge.simulator import SimulatedTerminal


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user_id": "A7"}, "user_id"),
        ({"user_id": "7.5"}, "user_id"),
        ({"user_id": "\u2460"}, "user_id"),
        ({"user_id": -7}, "user_id"),
        ({"user_id": "7", "password": "12ab"}, "password"),
        ({"user_id": "7", "password": " 1"}, "password"),
    ],
)
def test_it_is_refused_by_a_sentence_that_names_the_setting(
    field_site: FieldSite, body: dict[str, Any], field: str
) -> None:
    answer = field_site.ask("p/users/create", {"name": "Ana", **body})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    [fault] = answer["errors"]
    assert fault["field"] == field
    assert "user_id_charset: any" in fault["message"]


def test_a_pin_in_an_update_is_refused_too(field_site: FieldSite) -> None:
    answer = field_site.ask("p/users/update", {"user_id": "A7", "password": "x"})

    assert [(fault["field"], "user_id_charset" in fault["message"]) for fault in answer["errors"]] == [
        ("password", True)
    ]


def test_a_device_with_any_accepts_letters(field_site: FieldSite) -> None:
    answer = field_site.ask("letters/users/create", {"user_id": "A7", "name": "Ana", "password": "ab"})

    assert answer["success"]


def test_a_user_with_letters_who_is_there_is_listed_changed_and_deleted(
    field_site: FieldSite, any_user: SimulatedTerminal
) -> None:
    any_user.add_user("B-8", "Ana")

    listed = field_site.ask("p/users/list", {"user_id": "B-8"})
    updated = field_site.ask("p/users/update", {"user_id": "B-8", "password": "\u0661\u0662"})
    [pin] = [user.password for user in any_user.users() if user.user_id == "B-8"]
    deleted = field_site.ask("p/users/delete", {"user_id": "B-8"})

    assert listed["total"] == 1
    assert updated["success"]
    assert pin == "12"
    assert deleted["success"]


def test_a_group_names_the_members_that_cannot_take_it(field_site: FieldSite) -> None:
    answer = field_site.ask("both/users/create", {"user_id": "A7", "name": "Ana"})

    assert answer["code"] == "invalid_field"
    assert "user_id_charset" in answer["error"]
