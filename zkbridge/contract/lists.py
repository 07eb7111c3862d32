"""Combines the results of a list's rows into one answer, for one device or for each device of a group."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import AllFailed, Partial
from zkbridge.contract.messages import Reply, encode, failed, succeeded
from zkbridge.contract.texts import Language, add_texts, say

#: The key of the sentence for a list of which every row succeeded.
ALL_DONE = ("Hecho para todos los usuarios de la lista ({total}).", "Done for all users of the list ({total}).")
#: The code of a device, or of a row for it, that is away and is waited for.
WAITING = "waiting"
#: The keys of a row's entry that stay where the whole reply would be too long.
_SHORT = ("user_id", "status", "code", "retryable", "effect", "until", "replayed")
#: The keys of a row's own reply that its entry leaves out or has elsewhere.
_ELSEWHERE = {"success", "message", "data", "status", "code", "request_id"}
#: Bytes of a reply that are not entries, the request_id aside.
_ENVELOPE = 320

add_texts(
    {
        "rows": ALL_DONE,
        "partial.rows": (
            "Hecho para {done} de {total} usuarios de la lista; vea results.",
            "Done for {done} of {total} users of the list; see results.",
        ),
        "partial.rows_waiting": (
            "Hecho para {done} de {total} usuarios de la lista, {waiting} en espera; vea results.",
            "Done for {done} of {total} users of the list, {waiting} waiting; see results.",
        ),
        "all_failed.rows": (
            "No se hizo para ningún usuario de la lista; vea results.",
            "Done for no user of the list; see results.",
        ),
    }
)


class RowSaid(NamedTuple):
    """What became of one row: the user_id as it was asked for, "" where it cannot be read, and the row's own reply."""

    user_id: str
    reply: Reply


def rows_together(
    said: Sequence[RowSaid], *, request_id: str | None, language: Language = "es", room: int | None = None
) -> Reply:
    """A device's reply to a list: a success only if every row's is one.

    `said` is in the list's order and not empty. A reply of more than `room` bytes has each row in short, and if that
    does not fit either, only rows that failed, as many as fit.
    """
    entries = [_entry(each) for each in said]
    reply = _reply(said, {"results": entries}, request_id=request_id, language=language)
    if room is None or len(reply.body) <= room:
        return reply
    entries = [{key: entry[key] for key in _SHORT if key in entry} for entry in entries]
    reply = _reply(said, {"results": entries}, request_id=request_id, language=language)
    if len(reply.body) <= room:
        return reply
    told = _fitting(
        [entry for entry, each in zip(entries, said, strict=True) if not each.reply.success],
        room - _ENVELOPE - len(encode(request_id)),
    )
    results = {"results": told, "more_results": len(said) - len(told)}
    return _reply(said, results, request_id=request_id, language=language)


def _fitting(entries: list[JsonObject], room: int) -> list[JsonObject]:
    """The first entries that together take at most `room` bytes."""
    for place, entry in enumerate(entries):
        room -= len(encode(entry)) + 1
        if room < 0:
            return entries[:place]
    return entries


def _entry(said: RowSaid) -> JsonObject:
    body = json.loads(said.reply.body)
    data = body.get("data", {})
    user_id = data.get("user_id", said.user_id or None)
    entry = {"user_id": user_id, "status": said.reply.status, "code": said.reply.code}
    entry |= {key: value for key, value in data.items() if key not in ("user_id", "device_id")}
    return entry | {key: value for key, value in body.items() if key not in _ELSEWHERE}


def _reply(said: Sequence[RowSaid], results: JsonObject, *, request_id: str | None, language: Language) -> Reply:
    done, total = sum(each.reply.success for each in said), len(said)
    if done == total:
        body = {"message": say("rows", language, total=total), **results}
        return succeeded(body, code=said[0].reply.code, request_id=request_id)
    away = sum(each.reply.code == WAITING for each in said)
    if away:
        more = {"done": done, "total": total, "waiting": away}
        return failed(Partial("rows_waiting", more=results, **more), language, request_id=request_id)
    error = Partial if done else AllFailed
    return failed(error("rows", more=results, done=done, total=total), language, request_id=request_id)
