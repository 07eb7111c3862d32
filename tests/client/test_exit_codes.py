"""Every command's exit codes are told in one place; the usual failures end with them, and say what helps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from zkbridge.cli.exit_codes import EXIT_CODES
from zkbridge.cli.main import _asked, main

CONTEXT = click.Context(main)
#: Each command with what it needs beside its options.
NEEDED = {
    "asked": ["ping", "p"],
    "users import": ["users", "import", "p", "people.csv"],
    "plan": ["plan", "people.csv", "--device", "p"],
    "apply": ["apply", "people.csv", "--device", "p", "--yes"],
    "run": ["run"],
    "check": ["check"],
    "devices": ["devices"],
    "watch": ["watch"],
    "discover": ["discover", "127.43.9.0/30"],
    "doctor": ["doctor", "p"],
    "report": ["report", "p"],
    "asyncapi": ["asyncapi"],
}


def test_every_command_has_its_exit_codes() -> None:
    asked_of_the_bridge = set(_asked())

    others = {name for name in main.list_commands(CONTEXT) if name not in asked_of_the_bridge}

    assert others | {"asked", "users import"} == set(EXIT_CODES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("user_id,name\n1,Ana\n")
    (tmp_path / "wrong.yaml").write_text("devices: 5\n")
    away = {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}
    (tmp_path / "away.yaml").write_text(json.dumps({"mqtt": {"port": closed_port()}, "devices": {"p": away}}))
    return tmp_path


@pytest.mark.parametrize("command", NEEDED)
def test_a_wrong_configuration_ends_with_2(command: str, folder: Path) -> None:
    ended = CliRunner().invoke(main, [*NEEDED[command], "--config", str(folder / "wrong.yaml")])

    assert ended.exit_code == 2, ended.output
    assert 2 in EXIT_CODES[command]
    assert "devices" in ended.stderr


@pytest.mark.parametrize("command", EXIT_CODES)
def test_an_unknown_option_ends_with_2(command: str, folder: Path) -> None:
    assert folder
    ended = CliRunner().invoke(main, [*NEEDED.get(command, [command]), "--nonsense"])

    assert ended.exit_code == 2
    assert "--nonsense" in ended.stderr


@pytest.mark.parametrize("command", [name for name, codes in EXIT_CODES.items() if 4 in codes])
def test_a_broker_that_is_away_ends_with_4(command: str, folder: Path) -> None:
    ended = CliRunner().invoke(main, [*NEEDED[command], "--config", str(folder / "away.yaml")])

    assert ended.exit_code == 4, ended.output


@pytest.mark.parametrize(
    ("words", "code"),
    [(["check", "--connect"], 1), (["doctor", "p"], 1), (["discover", "127.43.9.0/30", "--port", "9"], 1)],
)
def test_what_cannot_be_reached_ends_with_1(words: list[str], code: int, folder: Path) -> None:
    ended = CliRunner().invoke(main, [*words, "--config", str(folder / "away.yaml")])

    assert ended.exit_code == code, ended.output
    assert code in EXIT_CODES[words[0]]


@pytest.mark.parametrize("command", ["users import", "plan", "apply", "report"])
def test_the_help_of_a_command_names_no_other_codes(command: str) -> None:
    shown = CliRunner().invoke(main, [*command.split(), "--help"]).stdout
    told = " ".join(shown.split()).partition("Exit codes: ")[2].partition("--")[0]
    found = set(map(int, re.findall(r"(?:^|, )([0-9]+) ", told)))

    assert found
    assert found <= set(EXIT_CODES[command])


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker whose access list allows a user to listen only."""
    acl = "user boss\ntopic readwrite #\nuser deaf\ntopic read zk/#\n"
    users = {"boss": "x", "deaf": "x"}
    with Mosquitto(tmp_path_factory.mktemp("strict"), users=users, acl=acl) as broker:
        yield broker


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        (NEEDED["asked"], "zk/p/ping"),
        (NEEDED["users import"], "zk/p/users/create-many"),
        (["users", "export", "p"], "zk/p/users/list"),
    ],
)
def test_a_refused_request_names_user_topic_and_page(
    words: list[str], topic: str, strict: Mosquitto, folder: Path
) -> None:
    ended = refused(words, "deaf", strict, folder)

    assert ended.exit_code == 4, ended.output
    assert f"user 'deaf', {topic}; its access list decides, examples/mosquitto/README.md" in ended.stderr


@pytest.mark.parametrize("words", [NEEDED["asked"], NEEDED["devices"], NEEDED["watch"], NEEDED["users import"]])
def test_a_refused_login_names_user_and_page(words: list[str], strict: Mosquitto, folder: Path) -> None:
    ended = refused(words, "stranger", strict, folder)

    assert ended.exit_code == 4, ended.output
    assert "user 'stranger'; docs/client.md#where-the-bridge-is" in ended.stderr


def refused(words: list[str], user: str, broker: Mosquitto, folder: Path) -> Result:
    mqtt = {"host": "127.0.0.1", "port": broker.port, "username": user, "password": "x"}
    path = folder / "strict.yaml"
    path.write_text(json.dumps({"mqtt": mqtt, "devices": {"p": {"host": "127.0.0.1"}}}))
    return CliRunner().invoke(main, [*words, "--config", str(path)])
