"""What MQTT 5 says of a reply beside its payload."""

from typing import Any

from zkbridge.contract.messages import Publication
from zkbridge.mqtt.packets import publish_properties


def told(**reply: Any) -> dict[str, Any]:
    """The properties of a reply."""
    properties = publish_properties(Publication("zk/d/users/create/reply", b"{}", **reply)).json()
    return {name: value for name, value in properties.items() if name != "UserProperty"} | dict(
        properties.get("UserProperty", [])
    )


COMMON = {"ContentType": "application/json", "PayloadFormatIndicator": 1}


def test_a_reply_has_status_and_code_as_properties() -> None:
    assert told(status=409, code="user_exists") == {**COMMON, "status": "409", "code": "user_exists"}
    assert told(status=200, code="ok", command="ping") == {**COMMON, "status": "200", "code": "ok", "command": "ping"}
    assert told() == COMMON


def test_no_reply_carries_the_correlation_data_of_another() -> None:
    first: Any = publish_properties(Publication("t", b"{}", correlation_data=b"one", status=200, code="created"))
    second: Any = publish_properties(Publication("t", b"{}", correlation_data=b"two", status=200, code="created"))
    third: Any = publish_properties(Publication("t", b"{}", status=200, code="created"))

    assert (first.CorrelationData, second.CorrelationData) == (b"one", b"two")
    assert not hasattr(third, "CorrelationData")
    assert first.pack() != second.pack() != third.pack()
    assert first.UserProperty == second.UserProperty == third.UserProperty
