"""What somebody new gets wrong ends with one sentence that says what to do, and with 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.mosquitto import Mosquitto
from zkbridge.cli import devices as devices_command
from zkbridge.cli.install import install
from zkbridge.cli.main import main
from zkbridge.cli.output import no_answer
from zkbridge.client.connection import NoAnswer

ENTRADA = ["--device", "entrada=192.168.1.201"]
#: By what was typed, what it is told. `{folder}` is a folder with `junk`, which is no text and no certificate.
WRONG = {
    ("ping", "p", "--wait", "0"): "0.0 is not in the range 0<x<=86400",
    ("ping", "p", "--wait", "-5"): "-5.0 is not in the range 0<x<=86400",
    ("ping", "p", "--wait", "inf"): "inf is not in the range 0<x<=86400",
    ("ping", "p", "--wait", "nan"): "'nan' is no number of seconds",
    ("users", "export", "p", "--wait", "nan"): "'nan' is no number of seconds",
    ("plan", "{folder}/junk", "--device", "p", "--wait", "inf"): "inf is not in the range 0<x<=86400",
    ("ping", "p", "--broker", "localhost"): "'localhost' is not HOST:PORT, such as localhost:1883",
    ("demo", "--broker", "localhost"): "'localhost' is not HOST:PORT, such as localhost:1883",
    ("ping", "p", "--broker", "h:1", "--ca-file", "{folder}/junk"): "junk is no file of certificates (PEM): NO_CERT",
    ("init", "{folder}/none/config.yaml", *ENTRADA): "config.yaml cannot be written: No such file or directory",
    ("init", "{folder}/config.yaml", *ENTRADA, *ENTRADA): "entrada is named twice",
    ("report", "192.0.2.1", "--output", "{folder}/none/report"): "nothing can be written in {folder}/none",
    ("simulate", "--port", "0", "--switches", "{folder}/junk"): "junk: is not UTF-8 text",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_told_in_a_sentence(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"\xff\xfe\x00")

    ended = CliRunner().invoke(main, [word.format(folder=tmp_path) for word in words])

    assert ended.exit_code == 2, ended.output
    assert WRONG[words].format(folder=tmp_path) in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.output


def test_a_state_file_of_the_simulator_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        main, ["simulate", "--port", "0", "--lines", "--state", str(tmp_path / "none" / "state")]
    )

    assert ended.exit_code == 1
    assert "none/state" in ended.stderr
    assert "No such file or directory" in ended.stderr


@pytest.mark.parametrize(
    ("words", "said"), [("is it running?", "is it running?"), ("it is away", "it is away."), ("", "no answer so far.")]
)
def test_a_sentence_ends_once(words: str, said: str) -> None:
    assert no_answer(NoAnswer(words)) == said


@pytest.mark.parametrize("words", [["check"], ["check", "--json"], ["asyncapi"]])
def test_output_that_cannot_be_written_has_an_exit_code_of_its_own(words: list[str], tmp_path: Path) -> None:
    """1 would say that a request was refused, and its caller might ask again."""
    (tmp_path / "config.yaml").write_text("devices: {p: {host: 127.0.0.1}}\n")

    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "zkbridge", *words]
        ended = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert ended.returncode == 74
    assert ended.stderr == "Standard output cannot be written: No space left on device.\n"


def test_devices_says_what_to_check_where_nothing_is_heard_of_a_bridge(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices_command, "PATIENCE_S", 0.3)

    ended = CliRunner().invoke(main, ["devices", "--broker", f"127.0.0.1:{broker.port}"])

    assert ended.exit_code == 4
    assert "Nothing came on zk/bridge/state, zk/bridge/info" in ended.stderr
    assert "(without a user name; examples/mosquitto/README.md)?" in ended.stderr


def test_install_by_the_module_starts_the_program_beside_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path("/opt/zkbridge-of-a-test/bin")
    monkeypatch.setattr(sys, "argv", ["/opt/lib/zkbridge/__main__.py", "install"])
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    lacking = CliRunner().invoke(install, ["--root", str(tmp_path)])
    monkeypatch.setattr(Path, "exists", lambda self: self == folder / "zkbridge")
    ended = CliRunner().invoke(install, ["--root", str(tmp_path)])

    assert lacking.exit_code == 2
    assert f"there is no {folder}/zkbridge" in " ".join(lacking.stderr.split())
    assert ended.exit_code == 0, ended.output
    unit = (tmp_path / "etc/systemd/system/zkbridge.service").read_text()
    assert f"\nExecStart={folder}/zkbridge run " in unit


def test_install_names_what_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/zkbridge/bin/zkbridge", "install"])
    (tmp_path / "etc").write_text("no folder")

    ended = CliRunner().invoke(install, ["--root", str(tmp_path)])

    assert ended.exit_code == 2
    assert "cannot be written: Not a directory" in " ".join(ended.stderr.split())
