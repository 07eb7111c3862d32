"""Messages from MQTT, replies to them, and the JSON of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BridgeError, Effect
from zkbridge.contract.texts import Language
from zkbridge.contract.unreadable import NotJson, no_object, unreadable

# No text of a field takes as many digits, and no number is as large, so what is cut here is refused by the field's own
# rule. Python may be told to read no more than this (`-X int_max_str_digits`), and never reads more than 4,300.
_MAX_DIGITS = 640
#: Why a broker refused a message that it would take if it were smaller: the words of MQTT 5's reason code 0x95.
TOO_LARGE = "Packet too large"
# A PUBLISH packet beside topic, payload, correlation data and code: headers, lengths, content type and payload format;
# the user properties `status` and `code`; and that of `command`.
_HEADER, _STATUS, _COMMAND = 33, 23, 12
#: No reply of a lower status says `retryable` or `effect`.
_FAILED = 500


class Message(NamedTuple):
    """One message as it came from the broker; `mid` is 0 at QoS 0, `connection` counts this bridge's connections.

    It may have waited `waited_s` seconds unseen before it was read, but not longer. `answers` is the command that a
    reply by MQTT 5 says it answers.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    mid: int = 0
    connection: int = 0
    response_topic: str | None = None
    correlation_data: bytes | None = None
    expires_in_s: int | None = None
    waited_s: float = 0.0
    answers: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """Names a reply on its way to the broker: its number in the ledger."""

    answer: int


@dataclass(frozen=True, slots=True)
class PunchToken:
    """Names a punch on its way to the broker: its number in the ledger."""

    punch: int


#: Identifies a publication whose sender must know whether the broker accepted it.
Token = AnswerToken | PunchToken


class Publication(NamedTuple):
    """One message on its way out. An answer's status, code and command become user properties."""

    topic: str
    payload: bytes
    retain: bool = False
    correlation_data: bytes | None = None
    status: int | None = None
    code: str | None = None
    command: str | None = None

    @property
    def packet_size(self) -> int:
        """The most bytes that it can have as a PUBLISH packet (MQTT 5 section 3.3)."""
        size = _HEADER + len(self.topic.encode()) + len(self.payload)
        if self.correlation_data is not None:
            size += 3 + len(self.correlation_data)
        if self.command is not None:
            size += _COMMAND + len(self.command)
        return size if self.status is None else size + _STATUS + len(self.code or "")


class Reply(NamedTuple):
    """An answer without its address. Its body is stored, sent, and sent again byte for byte."""

    status: int
    code: str
    body: bytes

    @property
    def success(self) -> bool:
        """Whether the request was carried out: not in part (207), nor later (202)."""
        return self.status == 200

    @property
    def open_effect(self) -> Effect | None:
        """The effect of a failure after which the same request is carried out anew; None after every other end.

        Such a failure says `retryable: true`, or `effect: unknown` and nothing of `retryable`: another look at the
        terminal settles it. One that is retryable and says nothing of its effect has had none.
        """
        if self.status < _FAILED:
            return None
        body = json.loads(self.body)
        effect: Effect = "unknown" if body.get("effect") == "unknown" else "none"
        return effect if body.get("retryable", effect == "unknown") else None


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON, keys in their order, non-ASCII as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def succeeded(body: Mapping[str, object], *, code: str, request_id: str | None, status: int = 200) -> Reply:
    """A success; body holds `message` and `data`, or what the command answers instead."""
    content = {"success": True, **body, "status": status, "code": code}
    return Reply(status, code, encode(content | _echo(request_id)))


def failed(error: BridgeError, language: Language, *, request_id: str | None = None) -> Reply:
    """An error's reply."""
    content = {
        "success": False,
        "error": error.sentence(language),
        "status": error.status,
        "code": error.code,
    }
    return Reply(error.status, error.code, encode({**content, **error.details(language), **_echo(request_id)}))


def flagged(body: bytes, *, replayed: bool = False, response_topic_refused: bool = False) -> bytes:
    """A reply's body with the flags that belong to one delivery of it, not to the reply."""
    flags = {"replayed": replayed, "response_topic_refused": response_topic_refused}
    shown = {name: True for name, value in flags.items() if value}
    return body[:-1] + b"," + encode(shown)[1:] if shown else body


def about_user(body: bytes, user_id: str) -> bytes:
    """An error's body with the user that it is about: a row of a list may be answered long after the list."""
    return body[:-1] + b"," + encode({"user_id": user_id})[1:]


def parse_object(payload: bytes) -> JsonObject:
    """The JSON object in a payload: no duplicate keys, no NaN, no Infinity, numbers with a fraction as Decimal.

    Raises BodyRequired, which says why, for anything else, however odd the bytes.
    """
    try:
        value = json.loads(
            payload.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=Decimal,
        )
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise unreadable(payload, error) from None
    if not isinstance(value, dict):
        raise no_object(value)
    return value


def _echo(request_id: str | None) -> dict[str, str]:
    return {} if request_id is None else {"request_id": request_id}


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    content: JsonObject = {}
    for key, value in pairs:
        if key in content:
            raise NotJson("twice", key)
        content[key] = value
    return content


def _no_constant(name: str) -> NoReturn:
    raise NotJson("constant", name)


def _integer(text: str) -> int:
    return int(text[:_MAX_DIGITS])
