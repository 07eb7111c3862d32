"""Lists in parts: a reply is cut at a row, and says where the next part begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from zkbridge.commands.api.context import Context
from zkbridge.commands.api.fields import Limit, Offset
from zkbridge.commands.api.params import Params
from zkbridge.commands.chosen import Rows
from zkbridge.contract.bodies import Body
from zkbridge.contract.messages import encode

T = TypeVar("T")

#: The keys of a list beside `data`.
COUNTS = {"total": "Rows in all.", "next_offset": "Where the next part begins, if this is not all."}


class Part(Params):
    """Which part of a list is wanted; without a limit as much as a reply holds."""

    offset: Offset = 0
    limit: Limit | None = None


def part_of(rows: Rows[T], params: Part, context: Context, row: Callable[[T], Mapping[str, object]]) -> Body:
    """A reply's body: `total`, as many rows as were asked for and fit, and `next_offset` if there are more.

    A reply has at least one row, so that a caller who follows `next_offset` comes to the end.
    """
    end = len(rows) if params.limit is None else min(len(rows), params.offset + params.limit)
    told: list[Mapping[str, object]] = []
    room = context.room
    for at in range(params.offset, end):
        made = row(rows[at])
        room -= len(encode(made)) + 1
        if told and room < 0:
            break
        told.append(made)
    following = params.offset + len(told)
    body: Body = {"total": len(rows), "data": told}
    if told and following < len(rows):
        body["next_offset"] = following
    return body
