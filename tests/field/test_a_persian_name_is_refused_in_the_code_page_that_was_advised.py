"""cp1256, which the documents advised for Persian, has no Farsi yeh: half of all names were refused.

Source: vodvud/php_zklib#11
"""

from tests.field.conftest import FieldSite


def test_it_is_written_with_the_arabic_letter_and_the_reply_shows_it(field_site: FieldSite) -> None:
    created = field_site.ask("arab/users/create", {"user_id": "771", "name": "علی کریمی"})
    same = field_site.ask("arab/users/update", {"user_id": "771", "name": "علي"})
    other = field_site.ask("arab/users/update", {"user_id": "771", "name": "علی"})
    found = [field_site.ask("arab/users/list", {"name": name})["total"] for name in ("علی", "علي")]
    field_site.ask("arab/users/delete", {"user_id": "771"})

    assert created["data"]["name"] == "علي کريمي"
    assert "name" not in same["data"]
    assert other["data"]["name"] == "علي"
    assert found == [1, 1]


def test_a_letter_that_has_no_other_form_is_refused(field_site: FieldSite) -> None:
    answer = field_site.ask("arab/users/create", {"user_id": "772", "name": "ۆ"})

    assert [fault["field"] for fault in answer["errors"]] == ["name"]
    assert "cp1256" in answer["error"]


def test_utf_8_keeps_the_persian_letters(field_site: FieldSite) -> None:
    answer = field_site.ask("p/users/create", {"user_id": "773", "name": "علی کریمی"})

    assert answer["data"]["name"] == "علی کریمی"
