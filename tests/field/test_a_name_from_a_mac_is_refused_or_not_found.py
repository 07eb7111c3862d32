"""A name whose accents are characters of their own (NFD, as macOS writes it) is refused by a code page, or not found.

Source: attack on 7bb949d, 2026-11
"""

import pytest

from tests.field.conftest import FieldSite

DECOMPOSED, COMPOSED = "Jose\u0301 Mun\u0303oz", "Jos\u00e9 Mu\u00f1oz"


@pytest.mark.parametrize("device", ["west", "q"])
def test_it_is_written_in_one_spelling_and_found_in_both(field_site: FieldSite, device: str) -> None:
    body = {"user_id": "661", "name": DECOMPOSED}

    created = field_site.ask(f"{device}/users/create", body)
    found = [field_site.ask(f"{device}/users/list", {"name": name}) for name in (DECOMPOSED, COMPOSED, "MUN\u0303OZ")]
    field_site.ask(f"{device}/users/delete", {"user_id": "661"})

    assert created["data"]["name"] == COMPOSED
    assert [answer["total"] for answer in found] == [1, 1, 1]


def test_a_name_that_is_on_the_terminal_decomposed_is_found_by_either(field_site: FieldSite) -> None:
    field_site.terminals["p"].add_user("662", DECOMPOSED)

    found = [field_site.ask("p/users/list", {"name": name}) for name in (DECOMPOSED, COMPOSED)]

    assert [answer["total"] for answer in found] == [1, 1]
