"""Where the broker is and who asks there: options count before their variables, these before the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.support.certificates import make_certificates
from zkbridge.cli.broker_options import connection_options, settings_of
from zkbridge.config import loader
from zkbridge.config.models import Mqtt, Tls

FILES = {"typed": "typed secret", "other": "secret of the environment"}
CONFIGURED = {"username": "configured", "password": "configured secret"}
FROM_ENVIRONMENT = {
    "ZKBRIDGE_BROKER": "env.example:1884",
    "ZKBRIDGE_USERNAME": "env",
    "ZKBRIDGE_BROKER_PASSWORD_FILE": "other",
    "ZKBRIDGE_CA_FILE": "ca.pem",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_certificates(tmp_path_factory.mktemp("authority")).ca.read_text()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, authority: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, secret in FILES.items():
        Path(name).write_text(f"{secret}\n")
    Path("ca.pem").write_text(authority)
    Path("config.yaml").write_text(
        "mqtt: {host: file.example, port: 1885, username: configured, password: configured secret}\n"
        "devices: {p: {host: 127.0.0.1}}\n"
    )
    return tmp_path


def settings(*words: str, environment: Mapping[str, str]) -> Mqtt:
    found: list[Mqtt] = []

    def note(path: Path, broker: str | None) -> None:
        found.append(settings_of(click.get_current_context(), path, broker))

    command = click.Command("note", callback=note, params=connection_options())
    ended = CliRunner().invoke(command, words, env=environment, catch_exceptions=False)
    if not found:
        raise AssertionError(f"{ended.exit_code} {ended.output}")
    return found[0]


def test_without_either_it_is_as_configured() -> None:
    told = settings(environment={})

    assert (told.host, told.port, told.username, told.password) == ("file.example", 1885, *CONFIGURED.values())


def test_the_environment_counts_before_the_configuration() -> None:
    told = settings(environment=FROM_ENVIRONMENT)

    assert (told.host, told.port, told.username, told.password) == ("env.example", 1884, "env", FILES["other"])
    assert told.tls == Tls(ca_file=Path("ca.pem"))


def test_what_is_typed_counts_before_the_environment() -> None:
    words = ("--broker", "typed.example:1886", "--username", "typed", "--broker-password-file", "typed")

    told = settings(*words, environment=FROM_ENVIRONMENT)

    assert (told.host, told.port, told.username, told.password) == ("typed.example", 1886, "typed", FILES["typed"])


def test_a_typed_user_is_not_given_the_password_of_the_environments_user() -> None:
    told = settings("--username", "typed", environment=FROM_ENVIRONMENT)

    assert (told.username, told.password) == ("typed", None)


def test_a_typed_password_file_is_that_of_the_environments_user() -> None:
    told = settings("--broker-password-file", "typed", environment=FROM_ENVIRONMENT)

    assert (told.username, told.password) == ("env", FILES["typed"])


def test_the_configurations_own_variables_count_less() -> None:
    environment = {"ZKBRIDGE_MQTT__HOST": "key.example", "ZKBRIDGE_MQTT__USERNAME": "key"}

    assert settings(environment=environment).host == "key.example"
    assert settings(environment=environment | FROM_ENVIRONMENT).host == "env.example"
    assert settings(environment=environment | FROM_ENVIRONMENT).username == "env"


def test_a_password_file_without_a_user_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"ZKBRIDGE_BROKER_PASSWORD_FILE\) needs --username"):
        settings(environment={"ZKBRIDGE_BROKER_PASSWORD_FILE": "other"})


def test_the_variables_of_options_are_no_keys_of_the_configuration(folder: Path) -> None:
    config = loader.load(folder / "config.yaml", environment=FROM_ENVIRONMENT)

    assert (config.mqtt.host, config.mqtt.username) == ("file.example", "configured")
