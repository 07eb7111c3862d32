"""The machine's clock through jumps, and whether a time server stands behind it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from zkbridge.contract.errors import ClockUntrusted
from zkbridge.machine import clock as machine_clock
from zkbridge.machine.clock import Clock

NOON = 1_900_000_000.0
DAY_S = 86_400.0


@dataclass
class Machine:
    """A machine whose clock and time server the test has in hand."""

    wall: float = NOON
    since_start: float = 100.0
    synchronised: bool = False

    def clock(self) -> Clock:
        return Clock(
            wall=lambda: self.wall, since_start=lambda: self.since_start, synchronised=lambda: self.synchronised
        )

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.since_start += seconds


@pytest.mark.parametrize("synchronised", [True, False])
def test_the_clock_counts_while_it_runs_as_time_passes(synchronised: bool) -> None:
    machine = Machine(synchronised=synchronised)
    clock = machine.clock()
    for _ in range(3):
        machine.pass_(DAY_S)
        machine.wall += 1.5  # as a clock that is slewed
        assert clock.now() == machine.wall


@pytest.mark.parametrize("jump", [-60 * 365 * DAY_S, -7200, 7200, 40 * 365 * DAY_S])
def test_after_a_jump_that_no_server_stands_behind_the_time_that_has_passed_counts(
    jump: float, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += jump
    machine.pass_(10)

    assert [clock.now() for _ in range(3)] == [NOON + 10] * 3
    assert caplog.text.count("jumped by") == 1


@pytest.mark.parametrize("jump", [-7200, 40 * 365 * DAY_S])
def test_a_jump_that_a_server_stands_behind_is_followed(jump: float) -> None:
    machine = Machine(synchronised=True)
    clock = machine.clock()
    machine.wall += jump
    assert clock.now() == NOON + jump


def test_a_jump_is_followed_as_soon_as_a_server_stands_behind_it() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += DAY_S
    assert clock.now() == NOON
    machine.synchronised = True
    machine.pass_(5)
    assert clock.now() == NOON + DAY_S + 5


def test_a_clock_that_jumps_back_to_where_it_was_is_believed_again() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += DAY_S
    clock.now()
    machine.wall -= DAY_S
    machine.pass_(7)
    assert clock.now() == NOON + 7


@pytest.mark.parametrize(
    ("file", "state", "synchronised"),
    [
        (True, 5, True),
        (False, 0, True),
        (False, 5, False),
        (False, -1, False),
        (False, PermissionError(), False),
        (False, MemoryError(), False),
    ],
)
def test_the_clock_is_synchronised_where_systemd_or_the_kernel_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: bool,
    state: MemoryError | PermissionError | int,
    synchronised: bool,
) -> None:
    def ask() -> int:
        if isinstance(state, BaseException):
            raise state
        return state

    path = tmp_path / "synchronized"
    if file:
        path.touch()
    monkeypatch.setattr(machine_clock, "SYNCHRONISED", path)
    monkeypatch.setattr(machine_clock, "_adjtimex", ask)
    assert machine_clock.is_synchronised() is synchronised


def test_the_kernel_can_be_asked() -> None:
    assert machine_clock._adjtimex() in range(-1, 6)


@pytest.mark.parametrize("wall", [0.0, 7200.0, 946_684_800.0, machine_clock.MADE_AT - 1])
def test_a_clock_that_shows_a_time_before_this_version_is_not_plausible(wall: float) -> None:
    with pytest.raises(ClockUntrusted, match="an impossible date"):
        Machine(wall=wall).clock().require_plausible()


def test_a_clock_of_today_is_plausible() -> None:
    Machine().clock().require_plausible()
    machine_clock.SYSTEM.require_plausible()
