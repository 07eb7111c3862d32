"""What of the users' dates is due, what is kept once it was done, and when a failed one is tried again."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.worker.parts import DEVICE
from zkbridge.contract.validity import Validity, instant
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import ValidityChange
from zkbridge.machine.clock import Clock
from zkbridge.machine.pause import FIRST_S
from zkbridge.worker.dates import Dates

EARLY, LATE = "2030-01-01T08:00:00", "2030-01-31T18:00:00"


@dataclass
class Bench:
    """Dates over a real ledger; `now` is the clock, `noted` what the bridge was told."""

    ledger: Ledger
    now: float = field(default_factory=lambda: instant(EARLY, None) - 10)
    synchronised: bool = True
    noted: list[tuple[Any, ...]] = field(default_factory=list)

    def dates(self) -> Dates:
        clock = Clock(wall=lambda: self.now, since_start=lambda: self.now, synchronised=lambda: self.synchronised)
        return Dates(DEVICE, self.ledger, clock, self)

    def note_dates(self, *noted: Any, told: bool) -> None:
        self.noted.append((*noted, told))

    def keep(self, dates: Dates, user_id: str, *validity: str | None) -> None:
        change = ValidityChange(DEVICE.id, user_id, Validity(*validity))
        self.ledger.finish([], validities=[change])
        dates.note([change])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(Ledger(tmp_path))
    yield bench
    bench.ledger.close()


def test_the_bridge_gets_the_next_moment_also_after_a_restart(bench: Bench) -> None:
    dates = bench.dates()
    assert dates.next_at is None
    bench.keep(dates, "7", None, LATE)
    bench.keep(dates, "8", EARLY, None)

    assert bench.noted == [("p", instant(LATE, None), False), ("p", instant(EARLY, None), False)]
    assert bench.dates().next_at == dates.next_at == instant(EARLY, None)
    assert bench.dates().kept == {"7": Validity(None, LATE), "8": Validity(EARLY, None)}


def test_nothing_is_due_before_its_moment_and_each_is_due_once(bench: Bench) -> None:
    dates = bench.dates()
    bench.keep(dates, "7", EARLY, LATE)
    assert (dates.due(), dates.is_due) == ([], False)

    bench.now += 10
    (found,) = dates.due()
    assert (found.user_id, found.due.blocked, dates.is_due) == ("7", False, True)
    dates.carry_out([(found, True)])

    assert (dates.due(), dates.is_due) == ([], False)
    assert bench.ledger.validities.of("p") == {"7": Validity(None, LATE)}
    assert bench.noted[-1] == ("p", instant(LATE, None), True)
    assert len(bench.ledger.punches.unsent(10)) == 1


def test_a_user_who_is_not_there_is_forgotten_without_an_event(bench: Bench) -> None:
    dates = bench.dates()
    bench.keep(dates, "7", EARLY, LATE)
    bench.now += 10
    (found,) = dates.due()
    dates.carry_out([(found, False)])

    assert bench.ledger.validities.of("p") == {}
    assert bench.ledger.punches.unsent(10) == []
    assert dates.next_at is None


def test_what_was_put_off_waits_longer_each_time_and_the_others_do_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: tick[0])
    dates = bench.dates()
    bench.keep(dates, "7", None, EARLY)
    bench.keep(dates, "8", None, EARLY)
    bench.now += 10
    pauses = []
    for _ in range(8):
        (first,) = [each for each in dates.due() if each.user_id == "7"]
        dates.put_off([first], "no")
        assert [each.user_id for each in dates.due()] == ["8"]
        began = tick[0]
        while not [each for each in dates.due() if each.user_id == "7"]:
            tick[0] += 5
        pauses.append(tick[0] - began)

    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


def test_a_terminal_that_is_away_is_not_called_for_a_date_alone_before_a_pause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: tick[0])
    dates = bench.dates()
    bench.keep(dates, "7", None, EARLY)
    bench.now += 10
    dates.pause.note_failure()

    assert not dates.is_due
    assert dates.due(), "another contact does it"
    tick[0] += FIRST_S
    assert dates.is_due
    dates.pause.note_failure()
    tick[0] += FIRST_S
    assert not dates.is_due
    dates.pause.note_success()
    assert dates.is_due


def test_an_untrusted_clock_makes_nothing_due_and_warns_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    dates = bench.dates()
    bench.keep(dates, "7", None, EARLY)
    bench.now += 10
    bench.synchronised = False
    assert (dates.due(), dates.is_due, dates.due()) == ([], False, [])
    assert caplog.text.count("not synchronised") == 1

    bench.synchronised = True
    assert dates.due()
