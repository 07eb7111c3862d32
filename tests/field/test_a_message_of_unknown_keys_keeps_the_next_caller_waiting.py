"""64 KiB of unknown keys cost a tenth of a second each, and the reply is ten times as long as the request.

Source: attack on 7bb949d, 2026-11
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.field.conftest import FieldSite
from zkbridge.commands import commands
from zkbridge.contract.errors import InvalidField
from zkbridge.contract.messages import encode, failed

KEYS = {
    "short": lambda number: f"k{number}",
    "like a field": lambda number: f"user_i{number}",
    "as long as a name can be told": lambda number: f"{number:064d}",
}
FULL = 65_000


def full_of(key: Callable[..., Any]) -> dict[str, Any]:
    """As many keys as 64 KiB hold."""
    body: dict[str, Any] = {"user_id": "1", "name": "a"}
    size = 30
    while size < FULL:
        name = key(len(body))
        body[name] = 1
        size += len(name) + len('"":1,')
    return body


def refusal(command: str, body: dict[str, Any]) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        commands()[command].parse(body, strict=True)
    return caught.value


@pytest.mark.parametrize(
    ("unknown", "told", "more"), [(1, 1, None), (19, 19, None), (20, 20, None), (21, 20, 1), (3000, 20, 2980)]
)
def test_no_more_than_twenty_faults_are_named_and_the_others_counted(unknown: int, told: int, more: int | None) -> None:
    body = {"user_id": "1", "name": "a"} | {f"k{number}": 1 for number in range(unknown)}

    answer = json.loads(failed(refusal("users/create", body), "en").body)

    assert [fault["field"] for fault in answer["errors"]] == [f"k{number}" for number in range(told)]
    assert answer.get("more_errors") == more
    assert answer["error"].endswith(f"; and {more} more" if more else "unknown field")


def test_wrong_values_are_named_before_unknown_fields() -> None:
    body = {"user_id": [], "name": "a", "card": "x"} | {f"k{number}": 1 for number in range(30)}

    answer = json.loads(failed(refusal("users/create", body), "en").body)

    assert [fault["field"] for fault in answer["errors"]] == ["user_id", "card", *(f"k{n}" for n in range(18))]
    assert answer["more_errors"] == 12


def test_unknown_fields_do_not_hide_that_a_field_is_missing(field_site: FieldSite) -> None:
    body = {f"k{number}": 1 for number in range(3000)}

    assert field_site.ask("p/users/create", body)["code"] == "missing_fields"


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("command", ["users/create", "attendance/list"])
def test_a_message_full_of_unknown_keys_costs_little(command: str, key: Callable[..., Any]) -> None:
    body = full_of(key)

    began = time.thread_time()
    error = refusal(command, body)
    spent = time.thread_time() - began

    assert spent < 0.1, f"{spent:.3f} s"
    assert len(failed(error, "es").body) < 8_000


def cpu_s(pid: int) -> float:
    """The processor time of a process, which its neighbours do not add to."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_caller_behind_many_such_messages_is_answered_soon(field_site: FieldSite) -> None:
    full = encode(full_of(KEYS["like a field"]))
    for _ in range(60):
        field_site.caller.send("field/p/users/create", full)

    began = cpu_s(field_site.daemon.pid)
    assert field_site.ask("p/ping", b"", timeout=60)["success"]

    assert cpu_s(field_site.daemon.pid) - began < 6, "less than two on any machine, whatever else it does"
    answer = field_site.caller.wait_for("field/p/users/create/reply").json
    assert (answer["code"], len(answer["errors"])) == ("invalid_field", 20)
