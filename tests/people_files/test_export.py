"""`zkbridge users export` and `attendance export`: the lists of a terminal as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support import processes
from tests.support.running import Running, running
from zkbridge.cli.export import export
from zkbridge.cli.import_users import import_users


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("site")) as all_of_it:
        all_of_it.principal.add_user(user_id="1", name="Ñandú, Ana", password="4321", card=77)
        all_of_it.principal.add_user(user_id="0012", name="=1+1")
        all_of_it.principal.punch("1", when=datetime(2026, 3, 1, 8, 0, 0))  # noqa: DTZ001 - a wall clock
        yield all_of_it


def exported(site: Running, name: str, *more: object) -> Result:
    return CliRunner().invoke(export(name), ["principal", *map(str, more), "--broker", f"127.0.0.1:{site.broker.port}"])


def test_users_are_written_as_csv_without_passwords(site: Running, tmp_path: Path) -> None:
    target = tmp_path / "people.csv"

    ended = exported(site, "users/list", target, "--encoding", "utf-8-sig")

    assert (ended.exit_code, ended.stderr) == (0, "2 rows\n")
    text = target.read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["user_id"], row["name"], row["card"]) for row in rows] == [
        ("1", "Ñandú, Ana", "77"),
        ("0012", "'=1+1", "0"),
    ]
    assert "4321" not in text
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_list_that_is_not_whole_is_reported_as_such(site: Running, tmp_path: Path) -> None:
    site.principal.switches.users_shown = 1
    try:
        ended = exported(site, "users/list", tmp_path / "people.csv")
    finally:
        site.principal.switches.users_shown = -1

    said = "1 rows\nprincipal counts 2 users and has shown fewer: the list is not whole\n"
    assert (ended.exit_code, ended.stderr) == (0, said)


def test_what_was_exported_can_be_imported_elsewhere(site: Running, tmp_path: Path) -> None:
    target = tmp_path / "moved.csv"
    exported(site, "users/list", target)

    with running(tmp_path / "other") as other:
        ended = CliRunner().invoke(
            import_users,
            ["principal", str(target), "--take-marks", "--broker", f"127.0.0.1:{other.broker.port}"],
        )

        assert ended.exit_code == 0, ended.output
        users = [(user.user_id, user.name, user.card) for user in other.principal.users()]
    assert users == [("1", "Ñandú, Ana", 77), ("0012", "=1+1", 0)]


def test_punches_are_written_as_json_lines_for_the_days_asked_for(site: Running, tmp_path: Path) -> None:
    target = tmp_path / "punches.jsonl"

    ended = exported(site, "attendance/list", target, "--since", "2026-03-01", "--until", "2026-03-01")
    none = exported(site, "attendance/list", "--since", "2027-01-01")

    assert ended.exit_code == 0
    (row,) = map(json.loads, target.read_text().splitlines())
    assert (row["user_id"], row["timestamp"], row["device_id"]) == ("1", "2026-03-01T08:00:00", "principal")
    assert none.stdout_bytes == b"user_id,timestamp,status,punch,device_id\r\n"


def test_a_dash_is_standard_output(site: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    ended = exported(site, "attendance/list", "-", "--since", "2027-01-01")

    assert ended.stdout_bytes == b"user_id,timestamp,status,punch,device_id\r\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(site: Running, tmp_path: Path) -> None:
    target = tmp_path / "mine.csv"
    target.write_text("mine")

    ended = exported(site, "users/list", target)

    assert (ended.exit_code, target.read_text()) == (2, "mine")


@pytest.mark.parametrize(
    ("encoding", "sentence"), [("klingon", "there is no encoding klingon"), ("ascii", "ascii has no 'Ñ'")]
)
def test_an_encoding_that_lacks_a_character_is_reported(
    site: Running, tmp_path: Path, encoding: str, sentence: str
) -> None:
    target = tmp_path / "people.csv"

    ended = exported(site, "users/list", target, "--encoding", encoding)

    assert ended.exit_code == 2
    assert sentence in ended.stderr
    assert not target.exists()


def test_a_refusal_is_printed_and_nothing_is_written(site: Running, tmp_path: Path) -> None:
    ended = exported(site, "attendance/list", tmp_path / "a.csv", "--since", "yesterday")

    assert ended.exit_code == 1
    assert "since" in ended.stderr
    assert not (tmp_path / "a.csv").exists()


def test_an_unreachable_broker_is_reported(tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        export("users/list"),
        ["principal", str(tmp_path / "a.csv"), "--broker", f"127.0.0.1:{processes.free_port()}"],
    )

    assert ended.exit_code == 4
    assert "cannot be reached" in ended.stderr
