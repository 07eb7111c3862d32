"""How far a terminal's clock is off: it shows whole seconds, so the truth is half a second more on average."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.worker.parts import DEVICE
from zkbridge.commands import info as info_command
from zkbridge.commands.api.registry import Context
from zkbridge.homeassistant.status import Status, _clock_read
from zkbridge.port.facts import Info
from zkbridge.terminal.report import probe

NOW = datetime(2030, 1, 31, 8, 0, 0)  # noqa: DTZ001 - a wall clock
#: What a clock is off in truth, and how far the second of the bridge's clock has gone by, in seconds.
TRUE = (-61.25, -0.75, -0.25, 0.0, 0.25, 0.5, 0.75, 119.5)
GONE_BY = tuple(each / 10 for each in range(10))


def shown(now: datetime, off: float) -> datetime:
    """What a terminal whose clock is off by so much shows."""
    return (now + timedelta(seconds=off)).replace(microsecond=0)


def drift_of_info(now: datetime, off: float, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(info_command, "wall_clock", lambda _device: now)
    session: Any = SimpleNamespace(info=Info, time=lambda: shown(now, off))
    answer: Any = info_command.info(session, info_command.Info(), Context(DEVICE))
    return float(answer["data"]["clock_drift_s"])


@pytest.mark.parametrize("off", TRUE)
def test_info_is_right_to_half_a_second_and_on_average(off: float, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [drift_of_info(NOW + timedelta(seconds=gone), off, monkeypatch) for gone in GONE_BY]

    assert all(abs(each - off) <= 0.5 + 0.05 for each in told), told
    assert abs(sum(told) / len(told) - off) <= 0.1


@pytest.mark.parametrize("off", TRUE)
def test_doctor_reports_and_home_assistant_are_right_to_a_second(off: float) -> None:
    for gone in GONE_BY:
        now = NOW + timedelta(seconds=gone)
        seen = probe._offset(shown(now, off), now)
        read = _clock_read(Status(), (shown(now, off) - now).total_seconds()).clock_drift_s

        assert seen is not None
        assert abs(seen - off) <= 1
        assert read == seen


def test_an_exact_clock_is_told_as_exact_at_any_part_of_a_second() -> None:
    exact = {probe._offset(shown(now, 0), now) for now in (NOW + timedelta(seconds=gone) for gone in GONE_BY[1:])}

    assert exact == {0}


def test_a_clock_without_a_date_has_no_drift() -> None:
    assert probe._offset(None, NOW) is None
