"""`zkbridge plan` and `zkbridge apply`: a file as a difference, and carried out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.frames import wait_for_session_end
from tests.support.running import Running, running
from zkbridge.cli import desired
from zkbridge.cli.document_file import messages_of, read_document_file
from zkbridge.cli.people_file import WrongFile
from zkbridge.cli.plan_text import plan_lines

ROWS: list[dict[str, Any]] = [
    {"user_id": "1", "name": "Ana", "card": 77},
    {"user_id": "2", "name": "Eva", "password": "73915826"},
]
GROUPS = {"planta": ["principal", "entrada"], "todos": ["entrada", "apagada"]}
COUNTS = {"added": 1, "changed": 1, "blocked": 1, "unblocked": 0, "deleted": 1, "failed": 1}


def test_a_plan_is_printed_line_by_line_and_names_no_card_and_no_pin() -> None:
    plan = {
        "device_id": "principal",
        "added": ["2"],
        "changed": [{"user_id": "1", "fields": ["name", "card", "password", "valid_until"]}],
        "blocked": ["3"],
        "unblocked": [],
        "deleted": ["4"],
        "failed": [{"user_id": "5", "code": "device_full", "error": "No room."}],
        "kept": 2,
        "counts": COUNTS,
        "over_limit": True,
        "more": True,
    }
    present: list[dict[str, Any]] = [
        {"user_id": "1", "name": "Anna", "card": 55},
        {"user_id": "3", "name": "Ida"},
        {"user_id": "4", "name": "Ugo"},
    ]
    rows = [{**ROWS[0], "password": "4711", "valid_until": "2030-01-31T18:00:00"}, ROWS[1]]

    assert list(plan_lines(plan, rows, present)) == [
        "principal: 1 added, 1 changed, 1 blocked, 1 deleted, 1 failed, 2 kept",
        "  + 2  Eva",
        "  ~ 1  name: Anna -> Ana; card: changed; password: changed; valid_until: (none) -> 2030-01-31T18:00:00",
        "  ! 3  Ida",
        "  - 4  Ugo",
        "  x 5  No room. (device_full)",
        "  … and more: the lists were cut",
        "  delete_limit would refuse this document: too many claimed users are absent",
    ]


def test_a_plan_without_a_difference_has_a_sentence() -> None:
    assert list(plan_lines({"device_id": "p", "counts": dict.fromkeys(COUNTS, 0)}, ROWS, [])) == ["p: nothing to do"]


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("a.json", '\ufeff{"version": 7, "users": [{"user_id": "1", "name": "Ana"}]}', {"version": 7}),
        ("a.csv", "user_id,name\n1,Ana\n", {}),
        ("a.jsonl", '{"user_id": "1", "name": "Ana"}\n', {}),
    ],
)
def test_a_document_is_read_from_json_and_people_from_csv_and_json_lines(
    tmp_path: Path, name: str, content: str, fields: dict[str, Any]
) -> None:
    path = tmp_path / name
    path.write_text(content)

    assert read_document_file(path) == ([{"user_id": "1", "name": "Ana"}], fields)


@pytest.mark.parametrize("content", ["", "[]", '{"users": []}', '{"users": 1}', '{"version": 1}', '{"users": [{"a":'])
def test_a_file_that_is_no_document_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)

    with pytest.raises(WrongFile):
        read_document_file(path)


def test_a_large_document_becomes_parts_before_their_manifest_none_too_large() -> None:
    users: list[dict[str, Any]] = [{"user_id": str(number), "name": f"User {number}"} for number in range(1, 1001)]
    [whole] = messages_of(users, {"version": 1}, most_bytes=65_536)
    *parts, (topic, manifest) = messages_of(users, {"version": 1, "apply": True}, most_bytes=4_096)

    assert whole[0] == topic == "users/desired"
    assert [end for end, _ in parts] == [f"users/desired/part/{n}" for n in range(1, len(parts) + 1)]
    assert all(len(payload) <= 4_096 for _, payload in parts)
    assert [user for _, payload in parts for user in json.loads(payload)["users"]] == users
    digests = [hashlib.sha256(payload).hexdigest() for _, payload in parts]
    assert json.loads(manifest) == {"version": 1, "apply": True, "parts": digests}


def test_more_parts_than_a_manifest_may_name_are_refused() -> None:
    users: list[dict[str, Any]] = [{"user_id": str(number), "name": "x" * 100} for number in range(1000)]

    with pytest.raises(WrongFile):
        messages_of(users, {}, most_bytes=600)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "site", desired={"enabled": True}, groups=GROUPS) as all_of_it:
        yield all_of_it


def run(site: Running, command: Any, path: Path, *more: str, answer: str = "") -> Result:
    words = [str(path), "--device", "principal", "--broker", f"127.0.0.1:{site.broker.port}", *more]
    ended = CliRunner().invoke(command, words, input=answer)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def test_a_file_is_planned_applied_after_asking_and_equal_then(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    rows: list[dict[str, Any]] = [{"user_id": "701", "name": "Ana", "card": 77}, {"user_id": "702", "name": "Eva"}]
    path.write_text(json.dumps({"version": 5, "users": rows}))

    planned = run(site, desired.plan, path)
    refused = run(site, desired.apply, path, answer="n\n")
    applied = run(site, desired.apply, path, "--yes")
    wait_for_session_end(site.principal)
    path.write_text(json.dumps({"version": 6, "users": [{**rows[0], "name": "Anna", "card": 78}, rows[1]]}))
    changed = run(site, desired.plan, path)
    machine = run(site, desired.apply, path, "--yes", "--json")
    again = run(site, desired.plan, path)

    assert planned.stdout.splitlines()[1:] == ["  + 701  Ana", "  + 702  Eva"]
    assert (planned.exit_code, refused.exit_code, applied.exit_code) == (0, 1, 0)
    assert "applied: version 5" in applied.stdout.splitlines()
    assert "  ~ 701  name: Ana -> Anna; card: changed" in changed.stdout.splitlines()
    assert not {"77", "78"} & set(changed.stdout.replace(";", " ").split())
    [plan] = json.loads(machine.stdout)["plans"]
    assert (machine.exit_code, plan["state"], plan["changed"]) == (0, "applied", [{"user_id": "701"}])
    assert "nothing to do" in again.stdout or " kept" in again.stdout
    assert "~" not in again.stdout


def test_a_file_in_parts_is_applied(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("user_id,name\n" + "".join(f"{number},Persona {number}\n" for number in range(801, 811)))
    config = tmp_path / "client.yaml"
    config.write_text(
        f"mqtt: {{port: {site.broker.port}, max_payload: 700}}\ndevices: {{principal: {{host: 127.0.0.1}}}}\n"
    )

    ended = CliRunner().invoke(
        desired.apply, [str(path), "--device", "principal", "--config", str(config), "--yes", "--json"]
    )

    [plan] = json.loads(ended.stdout)["plans"]
    assert (ended.exit_code, plan["state"], plan["counts"]["added"]) == (0, "applied", 10)


def test_a_refusal_and_a_missing_answer_have_their_exit_codes(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    path.write_text(json.dumps({"version": 2, "users": ROWS[:1]}))
    assert run(site, desired.apply, path, "--yes").exit_code == 0
    path.write_text(json.dumps({"version": 3, "users": ROWS}))
    pins = run(site, desired.apply, path, "--yes")
    path.write_text(json.dumps({"version": 1, "users": ROWS[:1]}))
    outdated = run(site, desired.apply, path, "--yes")
    path.write_text(json.dumps({"users": [{**ROWS[0], "card": -1}]}))
    wrong = run(site, desired.plan, path)
    words = [str(path), "--device", "principal", "--broker", f"127.0.0.1:{site.broker.port}"]
    both = CliRunner().invoke(desired.plan, [*words, "--group", "g"])

    assert (pins.exit_code, outdated.exit_code, wrong.exit_code, both.exit_code) == (2, 1, 1, 2)
    assert "73915826" not in pins.output
    assert "(document_outdated)" in outdated.stderr
    assert "users[0].card" in wrong.stderr


def test_a_file_for_a_group_reports_each_device_and_waits_for_one_that_is_away(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "group.json"
    path.write_text(json.dumps({"version": 2_000_000_000, "users": [{"user_id": "901", "name": "Zoe"}]}))
    where = ["--broker", f"127.0.0.1:{site.broker.port}"]

    planned = CliRunner().invoke(desired.plan, [str(path), "--group", "planta", *where])
    applied = CliRunner().invoke(desired.apply, [str(path), "--group", "planta", "--yes", *where])
    path.write_text(json.dumps({"version": 2_000_000_001, "users": [{"user_id": "901", "name": "Zoe"}]}))
    away = CliRunner().invoke(desired.apply, [str(path), "--group", "todos", "--yes", "--json", *where])

    assert planned.stdout.count("  + 901  Zoe") == 2
    assert (planned.exit_code, applied.exit_code, away.exit_code) == (0, 0, 0)
    assert applied.stdout.count("applied: version 2000000000") == 2
    assert [plan["state"] for plan in json.loads(away.stdout)["plans"]] == ["applied", "waiting"]
