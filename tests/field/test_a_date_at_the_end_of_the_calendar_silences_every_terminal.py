"""One message with .NET's default date east of Greenwich ends the connection for ever, for every terminal.

Source: attack on 7bb949d, 2026-11
"""

import pytest

from tests.field.conftest import FieldSite

FIRST, LAST = "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize("device", ["p", "both"])
def test_the_first_date_of_the_calendar_is_expired(field_site: FieldSite, device: str) -> None:
    answer = field_site.ask(f"{device}/users/create", {"user_id": "2", "name": "b", "expires_at": FIRST})

    assert (answer["status"], answer["code"]) == (408, "expired")
    assert "0001-01-01T00:00:00+00:00" in answer["error"]
    assert field_site.connections == 1


@pytest.mark.parametrize("device", ["p", "both"])
def test_the_last_date_of_the_calendar_is_not_expired(field_site: FieldSite, device: str) -> None:
    answer = field_site.ask(f"{device}/ping", {"expires_at": LAST}, message_expiry_s=0xFFFFFFFF)

    assert answer["success"]
    assert field_site.connections == 1


def test_a_request_that_may_wait_until_the_last_date_is_refused(field_site: FieldSite) -> None:
    body = {"user_id": "2", "name": "b", "expires_at": LAST, "catch_up": True}

    assert field_site.ask("both/users/create", body)["code"] == "invalid_field"


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("0001-01-01", "9999-12-31"),
        ("0001-01-01T00:00:00", "9999-12-31T23:59:59"),
        ("0001-01-01T00:00:00.000001", "9999-12-31T23:59:59.999999"),
    ],
)
def test_a_log_can_be_asked_for_from_the_first_to_the_last_date(field_site: FieldSite, since: str, until: str) -> None:
    assert field_site.ask("p/attendance/list", {"since": since, "until": until})["success"]


@pytest.mark.parametrize("field", ["since", "until"])
def test_a_date_with_an_offset_is_refused_in_a_log_at_both_ends(field_site: FieldSite, field: str) -> None:
    for date in (FIRST, LAST):
        assert field_site.ask("p/attendance/list", {field: date})["code"] == "invalid_field"


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", FIRST, LAST])
def test_no_clock_is_set_to_an_end_of_the_calendar(field_site: FieldSite, date: str) -> None:
    assert field_site.ask("p/time/sync", {"time": date})["code"] == "invalid_field"
