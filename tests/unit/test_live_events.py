"""Events of a terminal that counts more than it tells, and tells without a pause."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from zkbridge.attendance.live_events import MOST_EVENTS, LiveEvents
from zkbridge.attendance.punch_count import PunchCount
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected
from zkbridge.port.facts import Sizes
from zkbridge.port.punches import Punch
from zkbridge.terminal.protocol.bulk_read import ReadInterrupted

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
    counts = SimpleNamespace(moving=lambda _session, _read: 1_000_000)
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


def test_events_are_kept_when_a_request_interrupts_the_reading_of_the_log() -> None:
    """Two punches are counted and the event of one has come; that of the other comes after the request."""
    first, second, third = (Punch(None, user_id, None, 1, 0) for user_id in "123")
    arriving: list[list[Punch] | None] = [None, [second], [third]]
    acknowledged: list[None] = []
    session = SimpleNamespace(
        hear=lambda _seconds, _waker: arriving.pop(0), acknowledge=lambda: acknowledged.append(None)
    )
    kept: list[tuple[list[Punch], int]] = []
    recorder = SimpleNamespace(
        count=7,
        book=SimpleNamespace(knows=lambda _punch: False),
        keep=lambda _session, punches, *, count: kept.append(([*punches], count)),
    )

    def interrupted(*_: object) -> None:
        raise ReadInterrupted

    events = LiveEvents(
        Device(id="p", host="127.0.0.1"),
        cast("Any", recorder),
        cast("Any", SimpleNamespace(moving=lambda _session, _read: 9)),
        cast("Any", SimpleNamespace(off_by=0, catch_up=interrupted)),
    )
    turn = cast("Any", SimpleNamespace(waker=SimpleNamespace(woken=False)))
    with pytest.raises(ReadInterrupted):
        events.settle(cast("Any", session), turn, [first], 1)

    events.settle(cast("Any", session), turn, [], 0)

    assert kept == [([first, second], 9)]
    assert len(acknowledged) == 2


def test_events_of_a_connection_that_has_ended_are_left_to_the_log() -> None:
    read: list[int] = []

    def catch_up(_session: object, _turn: object, punches: Sequence[Punch]) -> None:
        read.append(len(punches))
        if len(read) == 1:
            raise ReadInterrupted

    events = LiveEvents(
        Device(id="p", host="127.0.0.1"),
        cast("Any", SimpleNamespace(count=0, book=SimpleNamespace(knows=lambda _punch: False))),
        cast("Any", SimpleNamespace(moving=lambda _session, _read: 9)),
        cast("Any", SimpleNamespace(off_by=0, catch_up=catch_up)),
    )
    session = cast("Any", SimpleNamespace(hear=lambda _seconds, _waker: None))
    turn = cast("Any", SimpleNamespace(waker=SimpleNamespace(woken=False)))
    with pytest.raises(ReadInterrupted):
        events.settle(session, turn, [PUNCH], 1)

    events.begin()
    events.settle(session, turn, [], 0)

    assert read == [1, 0]
