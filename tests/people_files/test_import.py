"""`zkbridge users import`, as the person who was handed the file runs it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.project.tree import ROOT
from tests.support import processes
from tests.support.caller import Caller
from tests.support.running import Running, running
from tests.support.waiting import wait_until
from zkbridge.cli.import_users import import_users
from zkbridge.cli.row_results import row, rows_of
from zkbridge.simulator import Command

pytestmark = pytest.mark.timeout(400)  # a whole import each, on whatever machine

PAGE = (ROOT / "docs" / "csv-import.md").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("site")) as all_of_it:
        yield all_of_it


def people(count: int, first: int = 1) -> str:
    return "user_id,name,password,card\n" + "".join(
        f"{number},Persona {number},{number % 10000},{100_000 + number}\n" for number in range(first, first + count)
    )


def words(site: Running, path: Path, *more: object) -> list[str]:
    return ["principal", str(path), "--broker", f"127.0.0.1:{site.broker.port}", *map(str, more)]


def imported(site: Running, path: Path, *more: object) -> tuple[int, list[dict[str, str]], str]:
    """Run it to its end: exit code, the rows of the result, what it said."""
    ended = CliRunner().invoke(import_users, words(site, path, *more))
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, list(csv.DictReader(io.StringIO(ended.stdout))), ended.stderr


def results(rows: list[dict[str, str]]) -> list[str]:
    return [row["result"] for row in rows]


def test_five_hundred_people_are_there_once_although_it_was_killed_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(people(500))
    with running(tmp_path / "site") as site:
        kill_in_the_middle(site, path)


def kill_in_the_middle(site: Running, path: Path) -> None:
    command = [sys.executable, "-m", "zkbridge", "users", "import", *words(site, path)]
    first = processes.start(command, log=path.with_suffix(".log"))
    wait_until(lambda: len(site.principal.users()) >= 100, timeout=200, what="a hundred people")
    first.kill()
    first.wait()
    assert len(site.principal.users()) < 500
    code, rows, said = imported(site, path)

    assert code == 0, said
    assert [row["user_id"] for row in rows] == [str(number) for number in range(1, 501)]
    assert {"created", "earlier"} == set(results(rows))
    assert results(rows).count("earlier") >= 100
    users = site.principal.users()
    assert sorted(int(user.user_id) for user in users) == list(range(1, 501))
    assert {(user.name, user.card) for user in users if user.user_id == "250"} == {("Persona 250", 100_250)}
    assert set(results(imported(site, path)[1])) == {"earlier"}
    assert len(site.principal.users()) == 500


def test_the_page_is_followed(site: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = re.search(r"```text\n(user_id,name.*?)```", PAGE, re.DOTALL)
    typed = re.search(r"^zkbridge users import (.*) > result.csv$", PAGE, re.MULTILINE)
    shown = re.search(r"```text\n(user_id,result.*?)```", PAGE, re.DOTALL)
    assert file
    assert typed
    assert shown
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text(file[1])

    ended = CliRunner().invoke(import_users, [*typed[1].split(), "--broker", f"127.0.0.1:{site.broker.port}"])

    assert (ended.exit_code, ended.stdout.splitlines()) == (0, shown[1].splitlines()), ended.stderr
    assert {user.name for user in site.principal.users()} >= {"Juan Perez", "Ana Ruiz", "María Núñez"}


def test_a_row_that_is_wrong_costs_the_others_nothing_and_is_done_once_it_is_right(
    site: Running, tmp_path: Path
) -> None:
    path = tmp_path / "late.csv"
    path.write_text("user_id,name,privilege\n7001,Eva,7\n7002,Luis,0\n")

    code, rows, _ = imported(site, path)

    assert (code, results(rows)) == (1, ["failed", "created"])
    assert rows[0]["code"] == "invalid_field"
    assert "privilege" in rows[0]["error"]
    path.write_text("user_id,name,privilege\n7001,Eva,14\n7002,Luisa,0\n")
    code, rows, _ = imported(site, path)
    assert (code, results(rows)) == (1, ["created", "failed"])
    assert rows[1]["code"] == "user_exists"


def test_a_row_is_known_again_when_its_list_has_changed(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "longer.csv"
    path.write_text("user_id,name,card,password\n7101,Eva,5,1234\n")
    first = imported(site, path)
    path.write_text("user_id,name,card,password\n7101,Eva,5,1234\n7102,Luis,6,\n")

    code, rows, _ = imported(site, path)

    assert (first[0], results(first[1])) == (0, ["created"])
    assert (code, results(rows)) == (0, ["earlier", "created"])
    assert results(imported(site, path)[1]) == ["earlier", "earlier"]
    path.write_text("user_id,name,card,password\n7101,Eva,7,1234\n7102,Luis,6,\n")
    assert results(imported(site, path)[1]) == ["failed", "earlier"]


def test_a_thousand_rows_cost_a_few_conversations(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(people(1000))
    with running(tmp_path / "site") as site, Caller(site.broker.port) as listener:
        listener.subscribe("zk/principal/users/create-many")
        before = site.principal.counts[Command.CONNECT]

        code, rows, said = imported(site, path)

        assert (code, set(results(rows))) == (0, {"created"}), said
        assert len(site.principal.users()) == 1000
        assert len(listener.messages) == 5
        assert site.principal.counts[Command.CONNECT] - before <= 100


def test_a_row_for_a_group_has_the_worst_result_of_its_devices() -> None:
    done = {"device_id": "p", "results": [{"user_id": "1", "status": 200, "code": "created"}]}
    away = {"device_id": "q", "results": [{"user_id": "1", "status": 500, "code": "device_timeout", "retryable": True}]}

    assert rows_of(["1"], {"results": [done, done]}) == [row("1", "created", "created")]
    assert rows_of(["1"], {"results": [done, away]}) == [row("1", "open", "device_timeout")]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, ["open", "open"]),
        ({"status": 403, "code": "forbidden", "error": "no"}, ["failed", "failed"]),
        ({"results": [{"user_id": "2", "status": 409, "code": "user_exists"}], "more_results": 1}, ["open", "failed"]),
        ({"replayed": True, "results": [{"status": 200}, {"status": 200}]}, ["earlier", "earlier"]),
        ({"results": [{"status": 200, "replayed": True}, {"status": 200}]}, ["earlier", "created"]),
    ],
)
def test_the_answer_to_a_list_is_read_row_by_row(answer: dict[str, Any] | None, told: list[str]) -> None:
    assert results(rows_of(["1", "2"], answer)) == told


def test_people_who_could_not_be_created_are_created_by_another_run_once_the_terminal_is_on(
    site: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "off.csv"
    path.write_text(people(3, first=9001))
    monkeypatch.setattr("zkbridge.client.batch.TRIES", 2)
    monkeypatch.setattr("zkbridge.client.batch.PAUSE_S", 0.1)
    site.principal.power_off()
    first = imported(site, path)
    site.principal.power_on()

    code, rows, said = imported(site, path)

    assert (first[0], results(first[1])) == (3, ["open"] * 3), first[2]
    assert "The terminal stayed away" in first[2]
    assert (code, results(rows)) == (0, ["created"] * 3), said
    ids = [user.user_id for user in site.principal.users()]
    assert [ids.count(number) for number in ("9001", "9002", "9003")] == [1, 1, 1]
    assert results(imported(site, path)[1]) == ["earlier"] * 3


def test_a_dry_run_checks_each_row_and_creates_no_user(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "dry.csv"
    path.write_text("user_id,name,privilege,blocked\n6001,Eva,0,\n6002,Luis,7,\n")
    site.principal.add_user(user_id="6003", name="Ana")
    before = site.principal.users()

    code, rows, said = imported(site, path, "--dry-run")
    path.write_text("user_id,name,blocked\n6001,Eva,VERDADERO\n6003,Ana,0\n")
    second = imported(site, path, "--dry-run")

    assert (code, results(rows), rows[1]["code"]) == (1, ["new", "wrong"], "invalid_field"), said
    assert (second[0], results(second[1])) == (0, ["new", "there"])
    assert site.principal.users() == before


def test_json_lines_are_read_and_json_is_printed(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text('{"user_id": "6101", "name": "Ñandú", "card": 77, "blocked": true, "uid": 5}\n\n')

    ended = CliRunner().invoke(import_users, words(site, path, "--json"))

    assert json.loads(ended.stdout) == {
        "rows": [{"user_id": "6101", "result": "created", "code": "created", "error": ""}],
        "counts": {"created": 1},
    }
    (user,) = [each for each in site.principal.users() if each.user_id == "6101"]
    assert (user.name, user.card) == ("Ñandú", 77)


def test_results_go_to_a_file_that_is_never_written_over(site: Running, tmp_path: Path) -> None:
    path, target = tmp_path / "file.csv", tmp_path / "result.csv"
    path.write_text("user_id,name\n6201,Eva\n")

    code, rows, _ = imported(site, path, "--results", target)
    again = imported(site, path, "--results", target)

    assert (code, rows) == (0, [])
    assert target.read_text() == "user_id,result,code,error\n6201,created,created,\n"
    assert again[0] == 2
    assert "exists" in again[2]


@pytest.mark.parametrize(
    ("data", "more"),
    [
        ("\ufeffuser_id;name;card\r\n81;Ñandú;5\r\n;;\r\n".encode(), ()),
        ("user_id,name\n81,Ñandú\n".encode("cp1252"), ("--encoding", "cp1252")),
        ("user_id\tname\n 81 \tÑandú\n".encode(), ()),
        ("user_id\tname\r\n81\tÑandú\r\n".encode("utf-16"), ()),
        ("sep=;\r\nuser_id;name\r\n81;Ñandú\r\n".encode(), ()),
        ('user_id,name\n\'81,"=""Ñandú"""\n'.encode(), ("--take-marks",)),
        ('user_id,name\n81,"Ñandú"\n'.encode(), ()),
    ],
    ids=["semicolons and a mark", "Windows", "tabs", "UTF-16", "sep", "marks", "quotes"],
)
def test_what_spreadsheets_save_is_read(
    site: Running, tmp_path: Path, data: bytes, more: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    path = tmp_path / f"{abs(hash(request.node.name))}.csv"
    path.write_bytes(data)

    _, rows, _ = imported(site, path, *more)

    assert [row["user_id"] for row in rows] == ["81"]
    assert rows[0]["code"] in ("created", "user_exists")
    assert "Ñandú" in {user.name for user in site.principal.users()}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,name\n1,Ana\n", "must name the columns"),
        ("user_id,name,phone\n1,Ana,2\n", "it names phone"),
        ("user_id,name,name\n1,Ana,2\n", "each once"),
        ("user_id,name\n1,Ana\n1,Eva\n", "more than once: '1'"),
        ("user_id,name\n\u0967\u0968,Ana\n12,Eva\n", "more than once: '12', '\u0967\u0968'"),
        ("user_id,name\n,Ana\n", "no user_id"),
        ("user_id,name\n", "no people"),
        ("user_id,name\n7,Ruiz, Ana\n", "the row of user_id '7' has more cells"),
        ("user_id,name\n'0010,Ana\n", "user_id of person 1 has a spreadsheet's mark for text"),
        ('user_id,name\n"=""0010""",Ana\n2,Eva\n', "--take-marks"),
        ("user_id,name,password\n1,Ana,'0012\n2,Eva,'0013\n", "password of person 1, and 1 more has"),
        ('user_id,name\n1,"Ana\nMaría"\n', "name of person 1 has a line break"),
        ("user_id,name,card\n1,Ana,1.2E+10\n", "card of person 1 has lost digits"),
        ("user_id,name,blocked\n1,Ana,perhaps\n", "blocked of person 1 is neither true nor false"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_asked(
    site: Running, tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)

    code, rows, said = imported(site, path)

    assert (code, rows) == (2, [])
    assert sentence in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{\n", "line 1 is no JSON"),
        ("[1]\n", "line 1 is no JSON object"),
        ('{"user_id": "1", "name": "Ana"}\n{"phone": 1}\n', "line 2: phone is no field"),
    ],
)
def test_wrong_json_lines_are_refused(site: Running, tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_text(text)

    code, rows, said = imported(site, path)

    assert (code, rows) == (2, [])
    assert sentence in said


def test_a_file_in_a_code_page_is_asked_about_and_never_guessed(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "cyrillic.csv"
    path.write_bytes("user_id,name\n82,Ольга\n".encode("cp1251"))

    code, rows, said = imported(site, path)

    assert (code, rows) == (2, [])
    assert re.search(r"--encoding cp1251 +'82,Ольга'", said)
    assert re.search(r"--encoding cp1252 +'82,Îëüãà'", said)
    assert imported(site, path, "--encoding", "klingon")[0] == 2
    assert imported(site, path, "--encoding", "ascii")[0] == 2
    code, rows, _ = imported(site, path, "--encoding", "cp1251")
    assert (code, results(rows)) == (0, ["created"])
    assert "Ольга" in {user.name for user in site.principal.users()}


def test_a_name_may_begin_with_an_apostrophe(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "dutch.csv"
    path.write_text("user_id,name\n83,'t Hooft\n")

    assert imported(site, path)[0] == 0
    assert "'t Hooft" in {user.name for user in site.principal.users()}


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_unreachable_broker_is_reported(tmp_path: Path, more: tuple[str, ...]) -> None:
    path = tmp_path / "people.csv"
    path.write_text(people(1))

    ended: Result = CliRunner().invoke(
        import_users, ["principal", str(path), "--broker", f"127.0.0.1:{processes.free_port()}", *more]
    )

    assert ended.exit_code == 4
    assert "cannot be reached" in ended.stderr


def test_without_a_bridge_the_import_ends_at_once_with_a_message(site: Running, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(people(1))
    (tmp_path / "config.yaml").write_text(
        f"mqtt: {{host: 127.0.0.1, port: {site.broker.port}, base_topic: other}}\ndevices: {{a: {{host: 127.0.0.1}}}}\n"
    )

    ended = CliRunner().invoke(import_users, ["principal", str(path), "--config", str(tmp_path / "config.yaml")])

    assert ended.exit_code == 4
    assert "no program subscribes to other/principal/users/create-many" in ended.stderr


def test_lists_that_find_the_queue_full_are_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One list fills the queue: the bridge sends the others away at first, also those that arrive together with it."""
    monkeypatch.setattr("zkbridge.cli.import_users.ROWS", 5)
    monkeypatch.setattr("zkbridge.cli.import_users.AT_ONCE", 5)
    path = tmp_path / "people.csv"
    path.write_text(people(25))
    with running(tmp_path / "short", queue_limit=5) as site, Caller(site.broker.port) as listener:
        listener.subscribe("zk/principal/users/create-many")
        site.principal.latency = 0.05  # the first list is still under way when the others arrive

        code, rows, said = imported(site, path)

        assert (code, set(results(rows))) == (0, {"created"}), said
        assert len(listener.messages) > 5
        assert len(site.principal.users()) == 25
