"""Events of a terminal that counts more than it tells, and tells without a pause."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from zkbridge.attendance.live_events import MOST_EVENTS, LiveEvents
from zkbridge.attendance.punch_count import PunchCount
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected
from zkbridge.port.facts import Sizes
from zkbridge.port.punches import Punch

PUNCH = Punch(None, "1", None, 1, 0)


class Talkative:
    """A session with an event whenever it is asked for one; `interrupts_after` so many a request comes."""

    def __init__(self, interrupts_after: int | None) -> None:
        self.heard = 0
        self.waker = SimpleNamespace(woken=False)
        self._interrupts_after = interrupts_after

    def hear(self, _seconds: float, waker: Any) -> list[Punch]:
        self.heard += 1
        waker.woken = waker.woken or self.heard == self._interrupts_after
        return [PUNCH]

    def acknowledge(self) -> None:
        """Nothing to do."""


@pytest.mark.parametrize(("interrupts_after", "most"), [(5, 5), (None, 2 * MOST_EVENTS)])
def test_a_punch_that_is_counted_without_an_event_is_not_awaited_for_ever_or_before_a_request(
    interrupts_after: int | None, most: int
) -> None:
    session, read_from_log = Talkative(interrupts_after), []
    recorder = SimpleNamespace(count=0, book=SimpleNamespace(knows=lambda _punch: False))
    counts = SimpleNamespace(moving=lambda _session: 1_000_000)
    log_reader = SimpleNamespace(off_by=0, catch_up=lambda _session, _turn, punches: read_from_log.append(len(punches)))
    device = Device(id="p", host="127.0.0.1")
    events = LiveEvents(device, cast("Any", recorder), cast("Any", counts), cast("Any", log_reader))

    events.settle(cast("Any", session), cast("Any", SimpleNamespace(waker=session.waker)), [PUNCH], 1)

    assert session.heard <= most
    assert read_from_log == [session.heard + 1]


def test_no_event_is_believed_once_a_terminal_that_counted_does_not_count_any_more() -> None:
    answers = [Sizes(records=7), Sizes(), Sizes()]
    device = Device(id="p", host="127.0.0.1", transport="udp")
    session = SimpleNamespace(device=device, extend=lambda _deadline: None, sizes=lambda: answers.pop(0))
    kept: list[int] = []
    recorder = SimpleNamespace(
        count=7,
        book=SimpleNamespace(knows=lambda _punch: False),
        keep=lambda _session, punches, **_count: kept.append(len(punches)),
    )
    counts = PunchCount(device)
    events = LiveEvents(device, cast("Any", recorder), counts, cast("Any", SimpleNamespace(off_by=0)))
    events.settle(cast("Any", session), cast("Any", None), [], 0)

    with pytest.raises(DeviceRejected):
        events.settle(cast("Any", session), cast("Any", None), [PUNCH], 0)

    assert kept == [0]
    counts.begin()
    assert counts.total(cast("Any", session)) is None
