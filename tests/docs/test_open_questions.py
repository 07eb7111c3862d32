"""docs/open-questions.md: each question names a switch that exists or says none, and a report answers what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support import reports
from zkbridge.simulator import Simulator
from zkbridge.simulator.device import switches
from zkbridge.terminal.report import questions

PAGE = Path(__file__).parents[2] / "docs" / "open-questions.md"
ROW = re.compile(r"^\| `([a-z0-9-]+)`: ([^|]+\?) \| ([^|]+); ([^|;]+) \| ([^|]+) \|$", re.MULTILINE)


class Question(NamedTuple):
    """One row: its name, the question, our choice, the switches for another, and whether a report answers."""

    name: str
    asked: str
    choice: str
    otherwise: str
    report: str

    @property
    def switches(self) -> list[str]:
        return re.findall(r"`(\w+)`", self.otherwise)


def asked() -> list[Question]:
    return [Question(*row) for row in ROW.findall(PAGE.read_text("utf-8"))]


def test_every_row_of_a_table_is_read() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]

    assert len(asked()) == len(lines) > 30
    assert len({question.name for question in asked()}) == len(lines)


def test_each_question_names_a_switch_that_exists_or_says_none() -> None:
    for question in asked():
        if question.otherwise == "no switch":
            continue
        assert question.switches, question
        assert set(question.switches) <= set(switches.names()), question


def test_every_switch_of_unknown_behaviour_has_its_question() -> None:
    named = {name for question in asked() for name in question.switches}

    assert {name for name, _default, _meaning, source in switches.rows() if "[?]" in source} <= named


def test_a_report_answers_the_questions_that_the_page_says() -> None:
    with Simulator() as simulator:
        terminal = reports.staffed(simulator, {}).terminal
        found = set(questions.answered(reports.probe(terminal)))
        tried = set(questions.answered(reports.probe(terminal, write=True)))

    page = {question.name: question.report for question in asked()}
    assert found == {name for name, report in page.items() if report.startswith("yes")}
    assert tried - found == {name for name, report in page.items() if report.startswith("with `--write`")}
    assert tried == set(questions.QUESTIONS)
