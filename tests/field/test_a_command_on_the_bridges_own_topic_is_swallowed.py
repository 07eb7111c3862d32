"""A command for a device named `bridge` gets no answer where the bridge itself publishes on that topic.

Source: attack on 7bb949d, 2026-11
"""

import pytest

from tests.field.conftest import FieldSite
from zkbridge.commands import commands


@pytest.mark.parametrize("command", commands())
def test_every_command_for_a_device_named_bridge_is_answered_404(field_site: FieldSite, command: str) -> None:
    answer = field_site.ask(f"bridge/{command}", {"request_id": command})

    assert (answer["status"], answer["code"]) == (404, "device_not_found")
    assert answer["request_id"] == command
    assert answer["disponibles"][:2] == ["p", "q"]


@pytest.mark.parametrize("payload", [b"", b"{}", b"x", b'{"user_id":"1","name":"a"}', b'{"instance":1}'])
def test_any_payload_on_the_topic_of_the_bridges_info_is_answered_404(field_site: FieldSite, payload: bytes) -> None:
    assert field_site.ask("bridge/info", payload)["code"] == "device_not_found"


def test_what_the_bridge_publishes_there_itself_is_no_command(field_site: FieldSite) -> None:
    field_site.caller.subscribe("field/bridge/info")
    info = field_site.caller.wait_for("field/bridge/info", lambda each: b"instance" in each.payload)
    field_site.caller.publish("field/bridge/info", info.payload)

    assert field_site.ask("p/ping", b"")["success"]
    assert field_site.ask("bridge/info", b"", correlation_data=b"first")["code"] == "device_not_found"
    asked = [each for each in field_site.caller.messages if each.topic == "field/bridge/info/reply"]
    assert asked[-1].correlation_data == b"first"
    assert sum(b'"request_id"' not in each.payload for each in asked[:-1]) <= 5, "one for each that was asked"
