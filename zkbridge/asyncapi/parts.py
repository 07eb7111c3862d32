"""Constants and small helpers that all parts of the document share."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from pydantic import BaseModel

from zkbridge.contract import answers

#: A part of an AsyncAPI or JSON Schema document, whose shape those specifications give.
Json = dict[str, Any]

MQTT = "0.2.0"

SCHEMAS = "#/components/schemas/"

REQUEST_ID = "r-1"

#: Errors that only a group's request has.
OF_GROUPS = {"partial", "all_failed"}

#: Fields of every request, or of some and the same for all of these.
SHARED = ("catch_up", "request_id", "expires_at", "language")
#: Fields of which one may not stand beside another.
EXCLUSIVE = ("blocked", "valid_from", "valid_until", "user_ids")

#: Errors of requests that could not be read: their id is not known.
UNREAD = {"body_required", "payload_too_large"}


def camel(*parts: str) -> str:
    """An identifier of several words: `users/create`, `reply` becomes `usersCreateReply`."""
    first, *rest = (word for part in parts for word in re.split(r"[/_-]", part))
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


TOGETHER = "groupSuccess"

STATES: dict[str, type[BaseModel]] = {
    "availability": answers.Availability,
    "attendanceEvent": answers.PunchEvent,
    "usersEvent": answers.UserEvent,
    "status": answers.Status,
    "bridgeState": answers.State,
    "bridgeInfo": answers.Info,
    "bridgeHealth": answers.Health,
}

TITLES = {
    "attendanceEvent": "attendance/event",
    "usersEvent": "users/event",
    "bridgeState": "bridge/state",
    "bridgeInfo": "bridge/info",
    "bridgeHealth": "bridge/health",
}

#: The MQTT binding of messages at QoS 1 that are not retained.
PASSING = {"attendanceEvent", "usersEvent", "bridgeHealth"}

CORRELATION = {
    "description": "Comes back in the reply; MQTT 5 callers may use Correlation Data as well, or instead.",
    "location": "$message.payload#/request_id",
}

BODY: Json = {"payloadFormatIndicator": 1, "contentType": "application/json", "bindingVersion": MQTT}

BYTES = {"type": "string", "description": "Any bytes; they come back as they were."}

FLAGS: Json = {
    "request_id": {"type": "string", "description": "The request's, if it had one that could be read."},
    "replayed": {"const": True, "description": "The request was carried out before; this is its reply of then."},
    "response_topic_refused": {"const": True, "description": "The Response Topic is not allowed; this one is used."},
}


def first_line(thing: object) -> str:
    """The first line of the docstring."""
    return (thing.__doc__ or "").strip().partition("\n")[0]


def dedented(text: str) -> str:
    """A paragraph without the indentation that it has in the code."""
    return textwrap.dedent(text).strip()
