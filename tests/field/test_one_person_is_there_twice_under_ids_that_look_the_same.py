"""Five users are created beside 1002 whose ids look like 1002, and people cannot see which one opens the door.

Source: attack on 7bb949d, 2026-11
"""

import pytest

from tests.field.conftest import FieldSite
from zkbridge.simulator import SimulatedTerminal

TWINS = ["\u200b1002", "1002\u200e", "1\u00ad002", "1002\ufe0f", "\ufeff1002", "1002\u3164", "10\u00a002"]


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("device", ["p", "letters", "both"])
def test_an_id_with_an_invisible_character_is_not_created(field_site: FieldSite, device: str, twin: str) -> None:
    answer = field_site.ask(f"{device}/users/create", {"user_id": twin, "name": "Ana"})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    [fault] = answer["errors"]
    sign = next(sign for sign in twin if not sign.isdecimal())
    assert fault["field"] == "user_id"
    assert f"U+{ord(sign):04X}, position {twin.index(sign) + 1}" in fault["message"]


@pytest.mark.parametrize("twin", ["\u200b1002", "1002\ufe0f", "\u0661\u0660\u0660\u0662"])
def test_a_twin_that_is_on_the_terminal_is_listed_changed_and_deleted_by_its_own_id(
    field_site: FieldSite, any_user: SimulatedTerminal, twin: str
) -> None:
    any_user.add_user("1002", "Ana")
    any_user.add_user(twin, "Twin")

    listed = field_site.ask("p/users/list", {"user_id": twin, "name": "twin"})
    updated = field_site.ask("p/users/update", {"user_id": twin, "card": 5})
    fingers = field_site.ask("p/users/fingers", {"user_id": twin})
    deleted = field_site.ask("p/users/delete", {"user_id": twin})

    assert [row["user_id"] for row in listed["data"]] == [twin]
    assert updated["data"]["user_id"] == twin
    assert fingers["success"]
    assert deleted["data"]["user_id"] == twin
    left = {user.user_id: user.card for user in any_user.users()}
    any_user.delete_user("1002")
    assert twin not in left
    assert left["1002"] == 0


def test_digits_of_another_script_find_the_user_whom_they_created(field_site: FieldSite) -> None:
    arabic = "\u0664\u0664\u0665"
    created = field_site.ask("p/users/create", {"user_id": arabic, "name": "Ana", "password": "\u06f1\u06f2"})
    again = field_site.ask("p/users/create", {"user_id": "445", "name": "Eva"})
    [user] = [user for user in field_site.terminals["p"].users() if user.user_id == "445"]
    deleted = field_site.ask("p/users/delete", {"user_id": arabic})

    assert created["data"]["user_id"] == "445"
    assert again["code"] == "user_exists"
    assert user.password == "12"
    assert deleted["data"]["user_id"] == "445"
