"""Events of a terminal that counts more than it tells, and tells without a pause."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from zkbridge.attendance.live_events import MOST_EVENTS, LiveEvents
from zkbridge.config.models import Device
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
def test_what_is_counted_and_not_told_is_not_waited_for_when_a_request_comes_nor_for_ever(
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
