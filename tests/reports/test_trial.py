"""`--write` leaves nothing behind: not after a failure in the middle, not after Ctrl-C, not after a lost answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support import reports
from tests.support.reports import Staffed
from zkbridge.simulator import SimulatedTerminal, Simulator
from zkbridge.terminal.report import trial
from zkbridge.terminal.report.probe import Probe
from zkbridge.terminal.report.trial import CannotTry, Interrupts, NotUndone, Trial

STEPS = (
    "USER_WRQ",
    "PREPARE_DATA",
    "TMP_WRITE",
    "GET_USERTEMP",
    "DISABLE",
    "ENABLE",
    "UNLOCK",
    "DELETE_USER",
    "DELETE_USERTEMP",
)


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a trial waits for is not what is tested here."""
    monkeypatch.setattr(trial, "DISABLED_S", 1)
    monkeypatch.setattr(trial, "GRACE_S", -1.0)
    monkeypatch.setattr(trial, "UNLOCK", 1)
    monkeypatch.setattr(trial, "_LOOK_S", 0.02)
    monkeypatch.setattr(trial, "_PAUSE_S", 0.05)


@pytest.fixture
def staff() -> Iterator[Staffed]:
    with Simulator() as simulator:
        yield reports.staffed(simulator, {"profile": "tft", "transport": "tcp"})


def asked(terminal: SimulatedTerminal, timeout: float = 6) -> Probe:
    device = reports.target(terminal).model_copy(update={"timeout": timeout})
    probe = Probe(device, key=lambda: 0, tell=lambda _step: None)
    probe.read_only(("tcp",))
    return probe


def kept(terminal: SimulatedTerminal) -> object:
    """What a trial must leave as it was."""
    return [user.raw for user in terminal.users()], terminal.templates(), terminal.disabled, terminal.attendance()


def test_a_trial_changes_and_undoes(staff: Staffed) -> None:
    terminal = staff.terminal
    probe, before = asked(terminal), kept(terminal)
    seen: list[tuple[int, int, bool]] = []

    def look(step: str) -> None:
        if step.startswith(("the door", "undo: the terminal")):
            seen.append((len(terminal.users()), len(terminal.templates()), terminal.door_open))

    Trial(probe, look).run()

    assert (len(staff.people) + 1, 6, False) in seen
    assert terminal.counts[31] == 1
    assert kept(terminal) == before


@pytest.mark.parametrize("action", ["close", "silence", "refuse"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_in_the_middle_leaves_nothing_behind(staff: Staffed, step: str, when: str, action: str) -> None:
    terminal = staff.terminal
    probe, before = asked(terminal, 1.5 if action == "silence" else 6), kept(terminal)
    terminal.faults.add(step, when=when, do=action)

    Trial(probe, lambda _step: None).run()

    assert kept(terminal) == before


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_in_the_middle_leaves_nothing_behind(staff: Staffed, step: str) -> None:
    terminal = staff.terminal
    probe, before = asked(terminal), kept(terminal)
    terminal.faults.add(step, when="after", do=_press_ctrl_c)

    with pytest.raises(KeyboardInterrupt):
        Trial(probe, lambda _step: None).run()

    assert kept(terminal) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_stop_the_undoing(staff: Staffed) -> None:
    terminal = staff.terminal
    probe, before = asked(terminal), kept(terminal)
    terminal.faults.add("TMP_WRITE", when="after", do=_press_ctrl_c)
    terminal.faults.add("DELETE_USERTEMP", when="before", do=_press_ctrl_c)
    terminal.faults.add("DELETE_USER", when="before", do=_press_ctrl_c)

    with pytest.raises(KeyboardInterrupt):
        Trial(probe, lambda _step: None).run()

    assert kept(terminal) == before


def test_what_cannot_be_undone_is_reported(staff: Staffed) -> None:
    terminal = staff.terminal
    probe = asked(terminal)
    terminal.switches.delete_without_effect = True

    with pytest.raises(NotUndone, match=r"user \d+ is deleted.*zkbridge test"):
        Trial(probe, lambda _step: None).run()


def test_no_trial_where_the_users_cannot_be_read_for_certain(staff: Staffed) -> None:
    terminal = staff.terminal
    probe, before = asked(terminal), kept(terminal)
    terminal.switches.count_offset = 1

    with pytest.raises(CannotTry):
        Trial(probe, lambda _step: None).run()

    assert kept(terminal) == before
    assert terminal.counts[8] == 0


def test_a_user_who_was_added_meanwhile_is_not_overwritten(staff: Staffed) -> None:
    terminal = staff.terminal
    probe = asked(terminal)
    terminal.add_user("99999", "Late Comer", uid=26)
    before = kept(terminal)

    Trial(probe, lambda _step: None).run()

    assert kept(terminal) == before


def test_a_signal_before_the_undoing_is_raised_after_it() -> None:
    done = []

    def hold_and_go_on() -> None:
        with Interrupts() as interrupts:
            interrupts.hold()
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the undoing")

    with pytest.raises(KeyboardInterrupt):
        hold_and_go_on()
    assert done == ["the undoing"]


def _press_ctrl_c(_terminal: SimulatedTerminal) -> None:
    os.kill(os.getpid(), signal.SIGINT)
