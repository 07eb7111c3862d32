"""A card of forty zeros and five digits becomes card 0, a privilege of many zeros and 14 becomes 0.

Source: attack on 7bb949d, 2026-11
"""

import pytest

from tests.field.conftest import FieldSite


def test_leading_zeros_of_any_number_are_read_whole(field_site: FieldSite) -> None:
    zeros = "0" * 5000
    answer = field_site.ask(
        "p/users/create", {"user_id": "551", "name": "Ana", "card": zeros + "12345", "privilege": zeros + "14"}
    )
    [user] = [user for user in field_site.terminals["p"].users() if user.user_id == "551"]

    assert answer["success"]
    assert (user.card, user.privilege) == (12345, 14)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("card", "1" * 41),
        ("card", "0" * 40 + "4294967296"),
        ("card", "9" * 60_000),
        ("privilege", "14" + "0" * 40),
        ("privilege", "0" * 39 + "140"),
    ],
)
def test_a_number_that_is_too_large_is_refused(field_site: FieldSite, field: str, value: str) -> None:
    answer = field_site.ask("p/users/create", {"user_id": "552", "name": "Ana", field: value})

    assert [fault["field"] for fault in answer["errors"]] == [field]


@pytest.mark.parametrize(("field", "value"), [("limit", "0" * 41), ("offset", "0" * 40 + "x"), ("limit", "1" * 50)])
def test_a_part_of_a_list_is_asked_for_by_whole_numbers(field_site: FieldSite, field: str, value: str) -> None:
    assert field_site.ask("p/users/list", {field: value})["code"] == "invalid_field"


def test_a_long_offset_counts_as_what_it_is(field_site: FieldSite) -> None:
    assert field_site.ask("p/users/list", {"offset": "0" * 60 + "4294967295"})["data"] == []
