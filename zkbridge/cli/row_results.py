"""What became of each row of a list of users, read from the answer to the list."""

from __future__ import annotations

from collections.abc import Sequence

from zkbridge.client.batch import may_be_repeated, parts_of
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.texts import shown

HEAD = ("user_id", "result", "code", "error")
Row = dict[str, str]


def row(user_id: str, result: str, code: str = "", error: str = "") -> Row:
    """A line of the result."""
    return dict(zip(HEAD, (user_id, result, code, error), strict=True))


def rows_of(user_ids: Sequence[str], answer: JsonObject | None) -> list[Row]:
    """A line for each user: created now, created by an earlier run, failed, or still open; then code and error.

    For a group, the worst result of its members: open, then failed, created, earlier. What cannot be found in the
    answer is open.
    """
    if answer is None:
        return [row(user_id, "open") for user_id in user_ids]
    parts = parts_of(answer)
    members = parts if parts and "device_id" in parts[0] else [answer]
    by_member = [_rows_of_device(user_ids, member, replayed=bool(answer.get("replayed"))) for member in members]
    return [max(told, key=lambda each: _WORST[each["result"]]) for told in zip(*by_member, strict=True)]


_WORST = {"earlier": 0, "created": 1, "failed": 2, "open": 3}


def _rows_of_device(user_ids: Sequence[str], answer: JsonObject, *, replayed: bool) -> list[Row]:
    parts = parts_of(answer)
    if not parts:  # the whole was refused
        return [_row(user_id, answer, replayed=replayed) for user_id in user_ids]
    if len(parts) == len(user_ids):  # in the list's order
        return [_row(user_id, part, replayed=replayed) for user_id, part in zip(user_ids, parts, strict=True)]
    known = {str(part.get("user_id")): part for part in parts}
    return [
        _row(user_id, known[user_id], replayed=replayed) if user_id in known else row(user_id, "open")
        for user_id in user_ids
    ]


def _row(user_id: str, part: JsonObject, *, replayed: bool) -> Row:
    code = shown(str(part.get("code", "")))
    if part.get("status") == 200:
        return row(user_id, "earlier" if replayed or part.get("replayed") else "created", code)
    result = "open" if may_be_repeated(part) else "failed"
    return row(user_id, result, code, shown(str(part.get("error", "")), 500))
