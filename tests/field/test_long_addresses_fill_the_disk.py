"""Requests of one byte, each with 60 KB of Response Topic and Correlation Data, filled a small disk in 15 seconds.

Source: attack on 7bb949d, 2026-11
"""

from typing import Any

import pytest

from tests.field.conftest import FieldSite


@pytest.mark.parametrize(
    ("properties", "refused"),
    [
        ({"response_topic": "field/replies/" + "a" * 60_000}, "response_topic"),
        ({"correlation_data": b"c" * 60_000}, "correlation_data"),
    ],
)
def test_a_long_response_topic_or_correlation_is_refused_on_the_default_topic(
    field_site: FieldSite, properties: dict[str, Any], refused: str
) -> None:
    field_site.caller.publish("field/p/ping", {"request_id": refused}, **properties)

    answer = field_site.caller.wait_for("field/p/ping/reply", lambda found: found.json.get("request_id") == refused)

    assert (answer.json["status"], answer.json["code"]) == (400, "invalid_field")
    assert [fault["field"] for fault in answer.json["errors"]] == [refused]
    assert answer.correlation_data is None
