"""`zkbridge init` and `zkbridge install`: a first configuration, and the service, put in place."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zkbridge.cli.init import Answers, Terminal, configuration, init
from zkbridge.cli.install import install
from zkbridge.cli.shipped import shipped
from zkbridge.config import loader

ROOT = Path(__file__).parents[2]
DEVICE = ["--device", "entrada=127.0.0.1:4371"]


def run(*words: str) -> Result:
    return CliRunner().invoke(init, words)


def test_the_file_has_what_was_named_and_every_comment(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    (tmp_path / "secret").write_text("hunter2\n")

    told = run(
        str(file), "--broker", "broker.local:8883", "--username", "null", "--password-file", str(tmp_path / "secret"),
        *DEVICE, "--device", "007=[fe80::1]",
    )  # fmt: skip

    assert told.exit_code == 0, told.output
    config = loader.load(file, environment={})
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.username) == ("broker.local", 8883, "null")
    assert config.mqtt.password is not None
    assert {name: (device.host, device.port) for name, device in config.devices.items()} == {
        "entrada": ("127.0.0.1", 4371),
        "007": ("fe80::1", 4370),
    }
    # What is not named keeps its default, and its comment.
    comments = re.findall(r"#.*", shipped("config.yaml"))
    written = file.read_text()
    lost = [comment for comment in comments if comment not in written]
    assert lost == ["# at least one; the key is the device id in the topics", "# the terminal's name or address"]


def test_with_json_an_object_has_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"

    ended = run(str(file), "--device", "a=192.168.1.201", "--device", "b=192.168.1.202:4371", "--json")

    assert json.loads(ended.stdout) == {"file": str(file), "broker": "localhost:1883", "devices": ["a", "b"]}


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("mine")

    told = run(str(file), *DEVICE)

    assert (told.exit_code, file.read_text()) == (2, "mine")
    assert "exists" in told.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no terminal is named"),
        (["--device", "entrada"], "is not ID=HOST"),
        (["--device", "entrada=host:0"], "'0' is not a port (1 to 65535)"),
        (["--device", "a/b=host"], "a/b"),
        ([*DEVICE, "--broker", "host:x"], "'x' is not a port (1 to 65535)"),
        ([*DEVICE, "--password-file", "/nowhere/at/all"], "does not exist"),
    ],
)
def test_every_fault_is_named_and_nothing_is_written(words: list[str], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zkbridge", "init", "config.yaml", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=tmp_path, env=environment
    )

    assert told.returncode == 2
    assert said in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_person_is_asked_for_what_no_option_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True, raising=False)
    file = tmp_path / "config.yaml"

    typed = "broker.local\nbridge\nhunter2\nn\nentrada\n127.0.0.1:4371\ny\npatio\n127.0.0.1\nn\n"
    told = CliRunner().invoke(init, [str(file)], input=typed)

    assert told.exit_code == 0, told.output
    assert "hunter2" not in told.output
    config = loader.load(file, environment={})
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.username) == ("broker.local", 1883, "bridge")
    assert set(config.devices) == {"entrada", "patio"}
    secret = tmp_path / "mqtt-password"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("hunter2", 0o600)


def test_a_person_who_mistypes_is_asked_again_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True, raising=False)
    file = tmp_path / "config.yaml"

    typed = [
        *("broker.local:port", "broker.local:8883", "", "n"),
        *("bad name", "bridge", "", "127.0.0.1:99999", "127.0.0.1", "y"),
        *("entrada", "", "127.0.0.2", "n"),
    ]
    told = CliRunner().invoke(init, [str(file)], input="\n".join(typed) + "\n")

    assert told.exit_code == 0, told.output
    for each in ("'port' is not a port", "'bad name'", "'bridge'", "'99999' is not a port", "another terminal"):
        assert each in told.output
    config = loader.load(file, environment={})
    assert (config.mqtt.host, config.mqtt.port) == ("broker.local", 8883)
    assert {name: device.host for name, device in config.devices.items()} == {
        "entrada": "127.0.0.1",
        "terminal-2": "127.0.0.2",
    }


def test_any_text_is_a_value_and_never_yaml_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(configuration(Answers("::1", 1, 'a"b: {c # no', None, (Terminal("null", "::1"),))))

    config = loader.load(file, environment={})

    assert (config.mqtt.host, config.mqtt.username, list(config.devices)) == ("::1", 'a"b: {c # no', ["null"])


def test_install_writes_the_unit_for_this_program_and_keeps_a_configuration(tmp_path: Path) -> None:
    first = CliRunner().invoke(install, ["--root", str(tmp_path)])

    assert first.exit_code == 0, first.output
    unit = (tmp_path / "etc/systemd/system/zkbridge.service").read_text()
    assert f"ExecStart={Path(sys.argv[0]).absolute()} run --config" in unit
    configuration_file = tmp_path / "etc/zkbridge/config.yaml"
    assert configuration_file.read_text() == shipped("config.yaml")

    told = CliRunner().invoke(install, ["--root", str(tmp_path), "--json"])
    unit_file = str(tmp_path / "etc/systemd/system/zkbridge.service")
    program = str(Path(sys.argv[0]).absolute())
    assert json.loads(told.stdout) == {"written": [unit_file], "stays": [str(configuration_file)], "program": program}
    configuration_file.write_text("mine")
    second = CliRunner().invoke(install, ["--root", str(tmp_path)])
    assert (second.exit_code, configuration_file.read_text()) == (0, "mine")
    assert "is there and stays" in second.output


def test_a_program_that_the_service_cannot_see_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/pi/.local/bin/zkbridge"])

    told = CliRunner().invoke(install, ["--root", str(tmp_path)])

    assert told.exit_code == 2
    assert "home folder" in told.output
    assert list(tmp_path.iterdir()) == []
