"""Read a list whole: the bridge cuts a long one at `mqtt.max_reply`, and says in `next_offset` where it goes on."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from zkbridge.contract.bodies import JsonObject

#: Asks a device something (its id, the body) and returns the answer.
Ask = Callable[[str, JsonObject], JsonObject]


def ask_whole(ask: Ask, device: str, body: JsonObject) -> JsonObject:
    """The answer to a request, lists with all their rows, up to the body's `limit`; of a group each device's list.

    If one part fails, its answer is returned in place of the list: half a list must not look like a whole one.
    """
    answer = ask(device, body)
    results = answer.get("results")
    lists = [(device, answer)]
    if isinstance(results, list):
        lists = [(str(each.get("device_id")), each) for each in results if isinstance(each, dict)]
    for member, part in lists:
        failure = _fill(ask, member, body, part)
        if failure is not None:
            return failure
    return answer


def _fill(ask: Ask, device: str, body: JsonObject, answer: JsonObject) -> JsonObject | None:
    """Add the rows that follow to an answer; the failure if there is one."""
    rows, limit = answer.get("data"), body.get("limit")
    while isinstance(rows, list) and (offset := _next(answer)) is not None:
        left = {} if limit is None else {"limit": limit - len(rows)}
        if left.get("limit", 1) <= 0:
            return None
        more = ask(device, body | {"offset": offset, "request_id": f"cli-{secrets.token_hex(6)}"} | left)
        if not more.get("success"):
            return more
        rows += more["data"] if isinstance(more.get("data"), list) else []
        del answer["next_offset"]
        following = _next(more)
        if following is not None and following > offset:
            answer["next_offset"] = following
    return None


def _next(answer: JsonObject) -> int | None:
    offset = answer.get("next_offset")
    return offset if isinstance(offset, int) else None
