"""Shows an answer and its progress on the command line."""

from __future__ import annotations

import json

from zkbridge.cli.output import columns, say
from zkbridge.client.batch import parts_of
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.texts import shown

#: Keys of an answer that are shown in their own way, or are only for programs; `errors` repeats the sentence.
_TOLD = frozenset(
    {
        *("success", "message", "error", "status", "code", "request_id", "replayed", "response_topic_refused"),
        *("data", "results", "errors", "retryable"),
    }
)


def tell_step(step: JsonObject) -> None:
    """Print a step on standard error, for the answer alone is the output."""
    say(_plain(step.get("message")), err=True)


def tell(answer: JsonObject) -> None:
    """Print an answer for people: its sentence, then its data. Foreign text in it is made safe to print."""
    if not answer.get("success"):
        say(f"{_plain(answer.get('error'))} ({_plain(answer.get('code'))})", fg="red", err=True)
        _tell_more(answer, err=True)
        _tell_results(parts_of(answer))
        return
    if "message" in answer:
        say(_plain(answer["message"]), fg="green")
    data = answer.get("data")
    if isinstance(data, dict):
        width = max(map(len, data), default=0)
        for key, value in data.items():
            say(f"  {key:{width}}  {_plain(value)}")
    elif isinstance(data, list):
        _tell_rows([row for row in data if isinstance(row, dict)])
        if not data:
            say("none")
    _tell_more(answer, err=False)
    _tell_results(parts_of(answer))


def _tell_more(answer: JsonObject, *, err: bool) -> None:
    """The other keys of an answer, in a line each."""
    for key, value in answer.items():
        if key not in _TOLD and value is not None:
            many = isinstance(value, list) and not any(isinstance(each, (dict, list)) for each in value)
            say(f"{_plain(key)}: {', '.join(map(_plain, value)) if many else _plain(value)}", err=err)


def _tell_results(results: list[JsonObject]) -> None:
    """Each device of a group, or each row of a list, in a line, and the rows of a device's list below it."""
    _tell_rows(
        [
            {
                **{name: each[name] for name in ("device_id", "user_id") if name in each},
                "status": each.get("status"),
                "code": each.get("code", ""),
                "": each.get("message") or each.get("error") or _removed(each),
            }
            for each in results
        ]
    )
    for each in results:
        if inner := parts_of(each):
            say()
            _tell_results(inner)
        data = each.get("data")
        rows = [row for row in (data if isinstance(data, list) else [data]) if isinstance(row, dict)]
        if rows and "message" not in each:  # with a sentence it says what the sentence says
            say()
            _tell_rows(rows)
        if "counted" in each:
            say(f"{_plain(each.get('device_id'))} counted: {_plain(each['counted'])}")
        if "next_offset" in each:
            say(f"{_plain(each.get('device_id'))} next_offset: {_plain(each['next_offset'])}")


def _removed(entry: JsonObject) -> str:
    """What an entry of a list has about fingers that were deleted."""
    removed = entry.get("removed_fingers")
    return f"removed_fingers: {_plain(removed)}" if removed else ""


def _tell_rows(rows: list[JsonObject]) -> None:
    heads = list(rows[0]) if rows else []
    if rows:
        say(*columns([heads, *([_plain(row.get(head)) for head in heads] for row in rows)]))


def _plain(value: object) -> str:
    return shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 500)
