"""A file that is no report, or a damaged one, is refused with a sentence, by the simulator and by the reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terminals.files import FOLDER
from zkbridge.simulator import TerminalConfig
from zkbridge.simulator.device.profile import load
from zkbridge.terminal.report import report_file
from zkbridge.terminal.report.report_file import NoReport

EXAMPLE = (FOLDER / "example-bw.jsonl").read_text("ascii")
Damage = Callable[[list[str]], list[str]]


def changed(marker: str, **keys: object) -> Damage:
    """The first line with this marker with other values."""

    def damage(lines: list[str]) -> list[str]:
        at = next(at for at, line in enumerate(lines) if marker in line and not line.startswith("#"))
        return [*lines[:at], json.dumps(json.loads(lines[at]) | keys), *lines[at + 1 :]]

    return damage


def huge(lines: list[str]) -> list[str]:
    """The table of users comes at once, and announces all that 32 bits can count."""
    at = next(at for at, line in enumerate(lines) if '"step": "table users"' in line)
    row = json.loads(lines[at])
    row["answers"] = ["dd0500000000" + row["ask"][12:16] + "ff" * 84]
    return [*lines[:at], json.dumps(row), *lines[at + 1 :]]


DAMAGED: dict[str, Damage] = {
    "a newer version": changed("zkbridge_report", zkbridge_report=2),
    "half a line": lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]],
    "a list for an object": lambda lines: [*lines, "[1]"],
    "a packet of 3 bytes": changed('"step": "version"', ask="4c0400"),
    "a packet that is no hex": changed('"step": "version"', ask="zz"),
    "a packet that is a number": changed('"step": "version"', answers=[7]),
    "answers missing": changed('"step": "version"', answers=None),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_report_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text("\n".join(DAMAGED[name](EXAMPLE.splitlines())), "ascii")

    with pytest.raises(NoReport, match="report"):
        report_file.read(path)
    with pytest.raises(ValueError, match="profile"):
        TerminalConfig(profile=str(path))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("an unknown switch", changed("findings", findings={"record": 28, "switches": {"nonsense": 1}})),
        ("another record", changed("findings", findings={"record": 30, "switches": {}})),
        ("no findings", lambda lines: [line for line in lines if '"findings"' not in line]),
        ("a table of 4 GB", huge),
    ],
)
def test_what_no_terminal_can_be_is_not_simulated(name: str, damage: Damage, tmp_path: Path) -> None:
    path = tmp_path / f"{name.replace(' ', '-')}.jsonl"
    path.write_text("\n".join(damage(EXAMPLE.splitlines())), "ascii")

    with pytest.raises(ValueError, match="profile"):
        load(str(path))
