"""What replies, errors and progress hold before they become JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

from typing_extensions import TypedDict

#: A JSON object that somebody else wrote, or that was read back from the disk: its reader checks each key that it uses.
JsonObject = dict[str, Any]
#: The keys that an error adds to its reply; its class names them (`BridgeError.adds`, `rare`).
Details = Mapping[str, object]


class Body(TypedDict, total=False):
    """What a command answers with when it has succeeded; `status`, `code` and `request_id` are added to it.

    `data` is of the TypedDict that the command's declaration names (`Answer.data`), or a list of such rows; the keys
    beside it are those that the declaration counts (`Answer.counts`).
    """

    message: str
    data: Mapping[str, object] | Sequence[Mapping[str, object]]
    total: int
    next_offset: int
    counted: int
    total_fingers: int
    results: Sequence[Mapping[str, object]]
    more_results: int


class ProgressBody(TypedDict):
    """How far an attended command has come; the facts of its step come beside these (`Answer.progress`)."""

    message: str
    step: str
    device_id: str
    request_id: NotRequired[str]


class Late(TypedDict, total=False):
    """Part of an event that is published late: absent otherwise."""

    late: bool


class UserEventBody(Late):
    """A user who was blocked or unblocked because of a date, as it is published: section 12 of the contract."""

    event: str
    user_id: str
    reason: str
    moment: str
    device_id: str
    id: str


class PunchBody(Late):
    """A punch as it is published: section 9 of the contract."""

    user_id: str
    name: str
    timestamp: str | None
    status: int
    punch: int
    device_id: str
    id: str
