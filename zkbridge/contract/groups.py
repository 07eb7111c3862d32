"""Combines answers: those of a group's members, or of a list's rows, into one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import AllFailed, Effect, Partial
from zkbridge.contract.lists import WAITING, RowSaid, rows_together
from zkbridge.contract.messages import Reply, encode, failed, succeeded
from zkbridge.contract.moments import moment
from zkbridge.contract.texts import Language, add_texts, say

#: The keys of a member's answer that stay where all answers together would be too long.
_SHORT = (
    "device_id",
    "user_id",
    "success",
    "status",
    "code",
    "retryable",
    "effect",
    "until",
    "counted",
    "next_offset",
)
#: Bytes of a group's reply for each member, beside the member's own reply to a list.
_BESIDE_LIST = 512


add_texts(
    {
        "together.targets": (
            "Copiado en todos los destinos ({total}).",
            "Copied to all targets ({total}).",
        ),
        "partial.targets": (
            "Hecho en {done} de {total} destinos; vea results.",
            "Done on {done} of {total} targets; see results.",
        ),
        "partial.targets_waiting": (
            "Hecho en {done} de {total} destinos, {waiting} en espera; vea results.",
            "Done on {done} of {total} targets, {waiting} waiting; see results.",
        ),
        "all_failed.targets": (
            "Ningún destino lo hizo; vea results.",
            "No target did it; see results.",
        ),
        "all_failed.targets_alike": (
            "Ningún destino lo hizo: {why}",
            "No target did it: {why}",
        ),
    }
)


class Said(NamedTuple):
    """One member's own reply, or why it waits; or that to one row of a list.

    `row` is then the row's user_id, "" where it cannot be read; None for what is no row. What was handed over names its
    user so, too.
    """

    device: str
    reply: Reply
    row: str | None = None


def targets(groups: Mapping[str, Sequence[str]], to: Iterable[str], *, without: str) -> list[str]:
    """The named devices, each once; for a group its members except `without`. Unknown names stay as they are."""
    found = {}
    for name in to:
        members = [each for each in groups[name] if each != without] if name in groups else [name]
        found.update(dict.fromkeys(members))
    return list(found)


def waiting(device: str, *, until: float, effect: Effect, why: str, language: Language) -> Reply:
    """What stands for the reply of a member that is away: it is waited for until a moment, in seconds since 1970.

    `why` is the sentence of the failure, `effect` whether the terminal may have been changed already.
    """
    sentence = say(WAITING, language, why=why, device=device, until=moment(until))
    body = {"success": False, "error": sentence, "status": 202, "code": WAITING}
    return Reply(202, WAITING, encode(body | {"effect": effect, "until": moment(until)}))


def together(
    group: str | None,
    said: Sequence[Said],
    *,
    request_id: str | None,
    language: Language = "es",
    room: int | None = None,
) -> Reply:
    """The group's reply: a success only if every member's is one.

    `said` is in the group's order and not empty. `group` is None for the targets of a request that was handed over.
    A reply of more than `room` bytes has the short form of each answer, so that no member is left out. Of rows
    it is the list's reply; the group may be a device then.
    """
    if group is not None and said[0].row is not None:
        return _lists(group, said, request_id=request_id, language=language, room=room)
    entries = [_entry(each) for each in said]
    reply = _reply(group, said, entries, request_id=request_id, language=language)
    if room is None or len(reply.body) <= room:
        return reply
    short = [{key: entry[key] for key in _SHORT if key in entry} for entry in entries]
    return _reply(group, said, short, request_id=request_id, language=language)


def _lists(group: str, said: Sequence[Said], *, request_id: str | None, language: Language, room: int | None) -> Reply:
    """The reply to a list of a device, or of each member of a group, which share the room."""
    rows: dict[str, list[RowSaid]] = {}
    for each in said:
        rows.setdefault(each.device, []).append(RowSaid(each.row or "", each.reply))
    if list(rows) == [group]:
        return rows_together(rows[group], request_id=request_id, language=language, room=room)
    share = None if room is None else room // len(rows) - _BESIDE_LIST
    members = [
        Said(device, rows_together(each, request_id=None, language=language, room=share))
        for device, each in rows.items()
    ]
    entries = [_entry(each) for each in members]
    return _reply(group, members, entries, request_id=request_id, language=language)


def _entry(said: Said) -> JsonObject:
    body: JsonObject = json.loads(said.reply.body)
    about = {} if said.row is None else {"user_id": said.row}
    return {"device_id": said.device} | about | {key: value for key, value in body.items() if key != "request_id"}


def _reply(
    group: str | None,
    said: Sequence[Said],
    results: list[JsonObject],
    *,
    request_id: str | None,
    language: Language,
) -> Reply:
    done = sum(each.reply.success for each in said)
    away = sum(each.reply.code == WAITING for each in said)
    facts: dict[str, Any] = {"device": group, "done": done, "waiting": away, "total": len(said)}
    if done == len(said):
        sentence = _alike(said, "message") or say("together" if group else "together.targets", language, **facts)
        return succeeded({"message": sentence, "results": results}, code=said[0].reply.code, request_id=request_id)
    if done or away or any(each.reply.code == Partial.code for each in said):
        error: Partial | AllFailed = Partial(_reason(group, "waiting" * bool(away)), more={"results": results}, **facts)
    elif why := _alike(said, "error"):
        error = AllFailed(_reason(group, "alike"), more={"results": results}, why=why, **facts)
    else:
        error = AllFailed(_reason(group), more={"results": results}, **facts)
    return failed(error, language, request_id=request_id)


def _reason(group: str | None, reason: str = "") -> str:
    """The key of the sentence: a group's sentence names the group, others do not."""
    return reason if group is not None else "_".join(filter(None, ("targets", reason)))


def _alike(said: Sequence[Said], key: str) -> str | None:
    """The members' sentence, if all have the same."""
    sentences = {json.loads(each.reply.body).get(key) for each in said}
    only = sentences.pop()
    return only if not sentences and isinstance(only, str) else None
