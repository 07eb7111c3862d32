"""A terminal that is simulated from a report answers as the report has it, frame by frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import reports
from tests.support.reports import KINDS
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.terminal.report import trial
from zkbridge.terminal.report.redaction import redacted


@pytest.mark.parametrize("kind", KINDS)
def test_a_terminal_made_from_a_report_gives_the_same_answers(kind: str, tmp_path: Path) -> None:
    comm_key = KINDS[kind].get("comm_key", 0)
    with Simulator() as simulator:
        staff = reports.staffed(simulator, KINDS[kind])
        first = reports.probe(staff.terminal, comm_key)
        report = reports.write_report(first, tmp_path / "report.jsonl")
        again = reports.probe(simulator.add(TerminalConfig(profile=str(report), comm_key=comm_key)), comm_key)

    assert reports.answers(again) == reports.answers(redacted(first, reports.KEY))


def test_a_table_of_which_the_report_has_a_part_is_as_long_as_the_original(tmp_path: Path) -> None:
    with Simulator() as simulator:
        staff = reports.staffed(simulator, {}, count=1500)
        first = reports.probe(staff.terminal)
        report = reports.write_report(first, tmp_path / "report.jsonl")
        terminal = simulator.add(TerminalConfig(profile=str(report)))
        again = reports.probe(terminal)
        assert len(terminal.users()) == 1500

    assert report.stat().st_size < 700_000
    assert [step[:2] for step in reports.answers(again)] == [step[:2] for step in reports.answers(first)]
    lengths = [[packet.length for packet in each.answers] for each in first.exchanges]
    assert [[packet.length for packet in each.answers] for each in again.exchanges] == lengths


@pytest.mark.parametrize("kind", ["tft", "bw", "face"])
def test_what_a_trial_has_shown_is_simulated_too(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "GRACE_S", -float(trial.DISABLED_S))
    monkeypatch.setattr(trial, "UNLOCK", 1)
    odd = {"unlock_unit": "tenths", "delete_unknown": 2000, "timed_disable": "refuse", "delete_finger_zero": "all"}
    odd |= {"templates_by_nine": True}
    odd |= {"user_zones_flag": "own"} if kind == "tft" else {}
    with Simulator() as simulator:
        staff = reports.staffed(simulator, KINDS[kind] | odd)
        first = reports.probe(staff.terminal, write=True)
        report = reports.write_report(first, tmp_path / "report.jsonl")
        terminal = simulator.add(TerminalConfig(profile=str(report)))
        assert {name: getattr(terminal.switches, name) for name in odd} == odd
        again = reports.probe(terminal, write=True)

    expected = [step for step in reports.answers(redacted(first, reports.KEY)) if step[1] in reports.OF_THE_TRIAL]
    assert [step for step in reports.answers(again) if step[1] in reports.OF_THE_TRIAL] == expected
