"""The plan that is published for a document of desired users (section 13 of the contract)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from zkbridge.contract.bodies import Body
from zkbridge.contract.groups import Said, together
from zkbridge.contract.lists import WAITING
from zkbridge.contract.messages import Reply, encode
from zkbridge.contract.texts import Language

#: The topic of documents, below a device.
DESIRED = "users/desired"
#: Parts of documents have a level more, their number.
PART = f"{DESIRED}/part"
#: The ends of the filters that bring documents and their parts.
DOCUMENTS = (DESIRED, f"{PART}/+")
#: By the end of each of these filters, that of a topic which it covers, of no part.
TRIED = {DESIRED: DESIRED, f"{PART}/+": f"{PART}/0"}
#: The most users of one document, the most parts, and the most bytes of all parts of one topic.
MAX_USERS, MAX_PARTS, MAX_BYTES = 100_000, 500, 33_554_432
MAX_VERSION = 4_294_967_295
#: The lists of a plan, by the code of the command that did it.
_DONE_BY = {
    "created": "added",
    "updated": "changed",
    "blocked": "blocked",
    "unblocked": "unblocked",
    "deleted": "deleted",
}
_LISTS = (*_DONE_BY.values(), "failed")


def combined(
    group: str | None,
    said: Sequence[Said],
    *,
    request_id: str | None,
    command: str,
    language: Language | None = None,
    room: int | None = None,
) -> Reply:
    """The one reply to a request that was split: of a document the plan that was carried out, else as `together`."""
    if command == DESIRED and group is not None:
        return _applied(group, said, version=version_of(request_id), room=room)
    return together(group, said, request_id=request_id, language=language or "es", room=room)


def refused(reply: Reply, device: str, *, part: int | None = None, version: object = None) -> Reply:
    """The plan of a document that changes nothing, made of the error's reply; `part`: only that part is refused.

    `version` is what the document says, whatever that is: the plan names it if it is one.
    """
    body = json.loads(reply.body) | ({} if part is None else {"part": part})
    if isinstance(version, int) and not isinstance(version, bool) and 1 <= version <= MAX_VERSION:
        body["version"] = version
    return Reply(reply.status, reply.code, encode({**body, "state": body.get("state", "refused"), "device_id": device}))


def awaited(reply: Reply, device: str, request_id: str | None) -> Reply:
    """The plan of a document whose terminal is away, made of what a group would be answered for it."""
    more = {"state": WAITING, "version": version_of(request_id), "device_id": device, "request_id": request_id}
    return Reply(reply.status, reply.code, encode(json.loads(reply.body) | more))


def version_of(request_id: str | None) -> int:
    """The version of the document: a comparison's request_id has more behind it."""
    return int((request_id or "0").partition("/")[0])


class PlanBody(Body, total=False):
    """What is published of a document; `more`: its lists were cut."""

    version: int
    state: str
    dry_run: bool
    added: Sequence[object]
    changed: Sequence[object]
    blocked: Sequence[object]
    unblocked: Sequence[object]
    deleted: Sequence[object]
    failed: Sequence[object]
    kept: int
    waiting: int
    device_id: str
    counts: Mapping[str, int]
    more: bool


def plan_body(plan: PlanBody, room: int | None) -> PlanBody:
    """A plan with its counts; where it takes more than `room` bytes, its lists are cut, and it says so."""
    lists = cast("Mapping[str, Sequence[object]]", plan)  # mypy takes no key that is a variable
    counts = {name: len(lists[name]) for name in _LISTS}
    body: PlanBody = {**plan, "counts": counts}
    longest = max(counts.values())
    while room is not None and len(encode(body)) > room and longest:
        longest //= 2
        shorter = {name: lists[name][:longest] for name in _LISTS}
        body = cast("PlanBody", {**body, **shorter, "more": True})
    return body


def _applied(device: str, said: Sequence[Said], *, version: int, room: int | None) -> Reply:
    lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
    waits: list[str] = []
    for each in said:
        if each.reply.success:
            entry: Any = {"user_id": each.row} if each.reply.code == "updated" else each.row
            lists[_DONE_BY[each.reply.code]].append(entry)
        elif each.reply.code == WAITING:
            waits.append(str(each.row))
        else:
            error = json.loads(each.reply.body).get("error")
            lists["failed"].append({"user_id": each.row, "code": each.reply.code, "error": error})
    status, state = (207, "partial") if lists["failed"] or waits else (200, "applied")
    told = {"version": version, "state": state, "dry_run": False, **lists, "device_id": device}
    if waits:
        told["waiting"] = len(waits)
    plan = cast("PlanBody", told)  # as above
    body = {"success": status == 200, **plan_body(plan, room), "status": status, "code": state}
    return Reply(status, state, encode(body))
