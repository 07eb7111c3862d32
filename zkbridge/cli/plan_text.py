"""A plan of desired users as people read it: one line for each user, never with a PIN or a card number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.characters import id_spelling

#: Fields of which only the names are shown.
_SECRET = frozenset({"password", "card"})
#: What stands before each user of a list.
_SIGNS = {"added": "+", "changed": "~", "blocked": "!", "unblocked": "o", "deleted": "-"}


def plan_lines(plan: Mapping[str, Any], wanted: Sequence[JsonObject], present: Sequence[JsonObject]) -> Iterator[str]:
    """The lines of a plan. `wanted` are the rows of the document, `present` those of `users/list`."""
    rows, held = _by_id(wanted), _by_id(present)
    yield f"{plan.get('device_id')}: {summary(plan)}"
    for name, sign in _SIGNS.items():
        for each in _list(plan, name):
            user_id = str(each.get("user_id")) if isinstance(each, dict) else str(each)
            row, user = rows.get(id_spelling(user_id), {}), held.get(id_spelling(user_id), {})
            more = _told(name, each, row, user)
            yield f"  {sign} {user_id}{f'  {more}' if more else ''}"
    for each in _list(plan, "failed"):
        if isinstance(each, dict):
            yield f"  x {each.get('user_id')}  {each.get('error')} ({each.get('code')})"
    if plan.get("more"):
        yield "  … and more: the lists were cut"
    if plan.get("over_limit"):
        yield "  delete_limit would refuse this document: too many claimed users are absent"


def summary(plan: Mapping[str, Any]) -> str:
    """The counts of a plan in one line."""
    counts = plan.get("counts")
    found = [f"{count} {name}" for name, count in counts.items() if count] if isinstance(counts, dict) else []
    if plan.get("waiting"):
        found.append(f"{plan['waiting']} waiting for the terminal")
    if plan.get("kept"):
        found.append(f"{plan['kept']} kept")
    return ", ".join(found) if found else "nothing to do"


def _told(name: str, each: Any, row: JsonObject, user: JsonObject) -> str:
    if name == "added":
        return str(row.get("name", ""))
    if name == "changed" and isinstance(each, dict):
        fields = each.get("fields")
        return "; ".join(_change(str(field), row, user) for field in fields) if isinstance(fields, list) else ""
    return str(user.get("name", row.get("name", "")))


def _change(field: str, row: JsonObject, user: JsonObject) -> str:
    if field in _SECRET:
        return f"{field}: changed"
    return f"{field}: {_shown(user.get(field))} -> {_shown(row.get(field))}"


def _shown(value: Any) -> str:
    return "(none)" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)


def _list(plan: Mapping[str, Any], name: str) -> list[Any]:
    found = plan.get(name)
    return found if isinstance(found, list) else []


def _by_id(rows: Sequence[JsonObject]) -> dict[str, JsonObject]:
    return {id_spelling(str(row.get("user_id")).strip()): row for row in rows if isinstance(row, dict)}
