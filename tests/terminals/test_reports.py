"""Every report that was sent: it is simulated as it is, its findings are those of today, and the page names it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support import reports
from tests.terminals.files import reported
from tests.terminals.refresh import refreshed
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.device import switches
from zkbridge.terminal.report import report_file

PAGE = Path(__file__).parents[2] / "docs" / "terminals.md"
each_report = pytest.mark.parametrize("path", reported(), ids=lambda path: path.stem)


@each_report
def test_the_terminal_made_from_it_answers_as_it_has_it(path: Path) -> None:
    recording = report_file.read(path)
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile=str(path)))
        again = reports.probe(terminal)

    of_the_trial = reports.of_a_trial(recording)
    expected = [step for step in reports.answers(recording) if not of_the_trial(step)]
    assert reports.answers(again) == expected


@each_report
def test_its_findings_are_those_that_its_frames_have_today(path: Path) -> None:
    assert refreshed(path) == path.read_text("ascii"), "bring it up to date: python -m tests.terminals.refresh"


@each_report
def test_its_findings_are_switches(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text("ascii").splitlines() if not line.startswith("#")]
    found = next(row["findings"]["switches"] for row in rows if "findings" in row)

    assert set(found) <= set(switches.names())


def test_the_page_names_every_report_of_a_real_terminal_and_no_other() -> None:
    rows = re.findall(r"^\| .*\(\.\./tests/terminals/reports/([^)]+)\) \|", PAGE.read_text("utf-8"), re.MULTILINE)

    real = [path.name for path in reported() if not path.name.startswith("example-")]
    assert sorted(rows) == sorted(real)
    assert ("There is no report yet" in PAGE.read_text("utf-8")) == (not real)


def test_an_example_is_marked_as_one() -> None:
    examples = [path for path in reported() if path.name.startswith("example-")]

    assert examples
    for path in examples:
        assert "not from a real terminal" in path.read_text("ascii").splitlines()[0]
