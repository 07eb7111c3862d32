"""The service as systemd reads it."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "zkbridge.service"
MOST_EXPOSED = 1.4


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.fail("systemd-analyze is missing: apt install systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def unit() -> configparser.SectionProxy:
    class Parser(configparser.RawConfigParser):
        optionxform = staticmethod(str)  # type: ignore[assignment]  # as its documentation shows

    parser = Parser(strict=False)
    parser.read(UNIT)
    return parser["Service"]


def verify(text: str, folder: Path) -> str:
    path = folder / UNIT.name
    path.write_text(text)
    return systemd_analyze("verify", str(path)).stderr


def test_systemd_has_no_warning_about_the_unit(tmp_path: Path) -> None:
    # systemd looks for the program; on this machine it is another one.
    text, replaced = re.subn(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text())
    assert replaced == 1

    assert verify(text, tmp_path) == ""
    assert "Unknown key" in verify(text + "\n[Service]\nNoSuchKey=1\n", tmp_path)


def test_the_service_is_locked_in() -> None:
    said = systemd_analyze("security", "--offline=true", "--no-pager", str(UNIT)).stdout

    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert exposure, said
    assert float(exposure[1]) <= MOST_EXPOSED, said


def test_the_service_notifies_systemd_when_it_is_ready_and_alive(unit: configparser.SectionProxy) -> None:
    assert unit["Type"] == "notify"
    assert unit["NotifyAccess"] == "main"
    assert int(unit["WatchdogSec"]) > 0


def test_a_wrong_configuration_is_not_tried_again(unit: configparser.SectionProxy) -> None:
    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"] == "2"
    assert int(unit["RestartSec"]) > 1


def test_the_service_may_write_its_ledger_and_its_locks_and_nothing_else(unit: configparser.SectionProxy) -> None:
    assert unit["DynamicUser"] == "yes"
    assert unit["StateDirectory"] == "zkbridge"
    assert unit["ProtectSystem"] == "strict"
    assert unit["ReadWritePaths"] == "-/run/lock"


def test_the_service_runs_the_daemon_with_the_systems_configuration(unit: configparser.SectionProxy) -> None:
    assert unit["ExecStart"] == "/opt/zkbridge/bin/zkbridge run --config /etc/zkbridge/config.yaml"
