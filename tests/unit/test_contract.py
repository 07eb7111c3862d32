"""What crosses MQTT: topics, JSON, replies."""

import contextlib
import json
import string
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkbridge.contract.errors import BodyRequired, DeviceTimeout, FieldFault, InvalidField, UserExists
from zkbridge.contract.messages import encode, failed, flagged, parse_object, succeeded
from zkbridge.contract.texts import TEXTS, shown
from zkbridge.contract.topics import Topics, is_device_id, is_publishable, matches


def test_a_topic_names_device_and_command() -> None:
    topics = Topics("site/zk")

    assert topics.parse("site/zk/principal/users/create") == ("principal", "users/create")
    assert topics.parse("site/zk//users/create") == ("", "users/create")
    assert topics.parse("zk/principal/users/create") is None
    assert topics.parse("site/zk/principal") is None
    assert topics.reply("principal", "users/create") == "site/zk/principal/users/create/reply"


@pytest.mark.parametrize(
    ("pattern", "topic", "covered"),
    [
        ("zk/+/users/create", "zk/a/users/create", True),
        ("zk/+/users/create", "zk/a/users/create/reply", False),
        ("zk/#", "zk", True),
        ("zk/#", "zk/a/b", True),
        ("zk/+", "zk/a/b", False),
        ("zk/a", "zk/b", False),
        ("zk/a/b", "zk/a", False),
    ],
)
def test_filters_cover_topics_as_brokers_see_it(pattern: str, topic: str, covered: bool) -> None:
    assert matches(pattern, topic) is covered


def test_device_ids_are_narrow() -> None:
    assert is_device_id("puerta-1_B")
    for odd in ("", "bridge", "-a", "a.b", "a/b", "a+", "ñ", "x" * 65, "a\n"):
        assert not is_device_id(odd), odd


def test_some_topics_no_broker_takes() -> None:
    assert is_publishable("zk/replies/me")
    for odd in ("", "$SYS/x", "zk/+/x", "zk/#", "a\0b", "x" * 65536, "\ud800"):
        assert not is_publishable(odd), odd


def test_every_text_is_there_in_both_languages_with_the_same_facts() -> None:
    for key, (spanish, english) in TEXTS.items():
        facts = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (spanish, english)]
        assert spanish, key
        assert facts[0] == facts[1], key


def test_a_success_has_the_keys_of_the_contract_in_their_order() -> None:
    body = {
        "message": "Usuario registrado.",
        "data": {"user_id": "123", "name": "Juan Perez", "device_id": "principal"},
    }

    reply = succeeded(body, code="created", request_id="r-1")

    assert reply.body.decode() == (
        '{"success":true,"message":"Usuario registrado.",'
        '"data":{"user_id":"123","name":"Juan Perez","device_id":"principal"},'
        '"status":200,"code":"created","request_id":"r-1"}'
    )


def test_an_error_has_the_keys_of_the_contract_in_their_order() -> None:
    reply = failed(UserExists(user_id="123"), "es", request_id="r-1")

    assert reply.body.decode() == (
        '{"success":false,"error":"user_id \'123\' ya existe.","status":409,"code":"user_exists","request_id":"r-1"}'
    )


def test_a_connection_failure_has_effect_and_retryable() -> None:
    failure = DeviceTimeout(host="192.168.1.205", port=4370)
    failure.effect = "unknown"

    assert json.loads(failed(failure, "en").body) == {
        "success": False,
        "error": "Connection timeout to device 192.168.1.205:4370",
        "status": 500,
        "code": "device_timeout",
        "retryable": True,
        "effect": "unknown",
    }


def test_every_wrong_field_is_named() -> None:
    error = InvalidField(
        FieldFault("card", "card"), FieldFault("name", "bytes", {"size": 30, "limit": 24, "encoding": "utf-8"})
    )

    answer = json.loads(failed(error, "en").body)

    assert [fault["field"] for fault in answer["errors"]] == ["card", "name"]
    assert answer["error"] == (
        "card: must be an integer from 0 to 4294967295; "
        "name: takes 30 bytes in utf-8; this terminal holds at most 24 bytes"
    )


def test_a_delivery_carries_its_own_flags() -> None:
    assert flagged(b'{"a":1}') == b'{"a":1}'
    assert flagged(b'{"a":1}', replayed=True) == b'{"a":1,"replayed":true}'
    both = flagged(b'{"a":1}', replayed=True, response_topic_refused=True)
    assert json.loads(both) == {"a": 1, "replayed": True, "response_topic_refused": True}


def test_json_is_sent_compact_and_unescaped() -> None:
    assert encode({"name": "Zoë", "n": 1}) == '{"name":"Zoë","n":1}'.encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"null",
        b"1",
        b'"x"',
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":{"b":1,"b":2}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        b'{"a":-Infinity}',
        b'{"a":1e9999999999999999999}',
    ],
)  # fmt: skip - a list of payloads reads best as one
def test_what_is_no_json_object_is_no_body(payload: bytes) -> None:
    with pytest.raises(BodyRequired):
        parse_object(payload)


def test_numbers_of_any_length_are_read() -> None:
    body = parse_object(b'{"a":' + b"9" * 50_000 + b',"c":1.50}')

    assert body["a"] == int("9" * 640)
    assert str(body["c"]) == "1.50"
    assert isinstance(body["c"], Decimal)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_no_body(payload: bytes) -> None:
    with contextlib.suppress(BodyRequired):
        assert isinstance(parse_object(payload), dict)


@given(st.text(max_size=200))
def test_what_is_shown_of_a_stranger_is_short_and_printable(text: str) -> None:
    safe = shown(text)

    assert len(safe) <= 65 or not text.isprintable()
    assert len(safe) <= 12 * 64 + 1
    assert safe.isprintable()
    safe.encode()


@pytest.mark.parametrize(
    ("text", "limit", "seen"),
    [
        ("\x1b[2J", 64, "\\u001b[2J"),
        ("\x9b2J", 64, "\\u009b2J"),  # CSI in one byte
        ("a\nok  broker", 64, "a\\u000aok  broker"),
        ("\r\b\x7f\0", 64, "\\u000d\\u0008\\u007f\\u0000"),
        ("1\u202e2\u2066", 64, "1\\u202e2\\u2066"),  # marks that turn the direction
        ("1\u200b2\u2028", 64, "1\\u200b2\\u2028"),
        ("\ud800", 64, "\\ud800"),
        ("\U000e0001", 64, "\\udb40\\udc01"),  # a tag
        ("José 名 علی", 64, "José 名 علی"),
        ("x" * 70, 64, "x" * 64 + "…"),
        ("x" * 70, None, "x" * 70),
        ("\x1b" * 3, 2, "\\u001b\\u001b…"),
        ("", 64, ""),
    ],
)
def test_what_a_stranger_writes_cannot_drive_a_screen(text: str, limit: int | None, seen: str) -> None:
    assert shown(text, limit) == seen


@given(st.text())
def test_json_that_is_shown_is_the_same_json(text: str) -> None:
    assert json.loads(shown(json.dumps([text], ensure_ascii=False), None)) == [text]
