"""Decides which of the punches in a terminal's events are new, and stores them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from zkbridge.attendance.bookmark import PunchKey, key_of, moment_of
from zkbridge.attendance.log_reader import LogReader
from zkbridge.attendance.punch_count import PunchCount
from zkbridge.attendance.recorder import Recorder
from zkbridge.attendance.turn import Turn
from zkbridge.config.models import Device
from zkbridge.port.punches import Punch
from zkbridge.terminal.session import Session

#: Seconds to wait for events that the terminal counts and has not sent yet.
GRACE_S = 0.5
#: How many events are taken at once.
BATCH = 200
#: After this many events in a row the log is read instead.
MOST_EVENTS = 2000


class LiveEvents:
    """The events of one device, compared with its count of punches; where they do not suffice, its log is read."""

    def __init__(self, device: Device, recorder: Recorder, counts: PunchCount, log_reader: LogReader) -> None:
        self._device = device
        self._recorder = recorder
        self._counts = counts
        self._log_reader = log_reader
        self._punches: list[Punch] = []
        self._events = 0

    def begin(self) -> None:
        """Note that a new connection begins: the log holds the punches of those events that were not stored."""
        self._punches, self._events = [], 0

    def take(self, session: Session, turn: Turn, heard: list[Punch]) -> None:
        """Store every event that has arrived, then acknowledge it."""
        punches, events = list(heard), 1
        while events < BATCH and (more := session.hear(0, turn.waker)) is not None:
            punches += more
            events += 1
        if self._is_in_doubt(punches):
            self.settle(session, turn, punches, events)
            return
        self._recorder.keep(session, punches, count=self._recorder.count + len(punches))
        _acknowledge(session, events)

    def _is_in_doubt(self, punches: Sequence[Punch]) -> bool:
        """Whether events may be missing, old or out of order; then the terminal is asked for its count.

        Datagrams get lost, doubled and change places. In a stream nothing does, but an event may be sent again, or
        be of a punch that was just read from the log.
        """
        if not punches:
            return False
        keys = [key_of(punch) for punch in punches]
        return (
            self._device.transport == "udp"
            or len(set(keys)) < len(keys)
            or any(self._recorder.book.knows(punch) for punch in punches)
        )

    def settle(self, session: Session, turn: Turn, punches: Sequence[Punch], events: int) -> None:
        """Store the events if the terminal's count agrees; wait for more if it counts more; else read its log.

        Where a request interrupts that, the events are kept for the next call: the terminal does not send them again,
        and an event of a later punch would be stored in the place of theirs. Source: `make soak`, 2026-11.
        """
        self._punches += punches
        self._events += events
        while True:
            read = self._recorder.count + self._log_reader.off_by
            counted = self._counts.moving(session, read)
            missing = None if counted is None else counted - read
            sure = self._sure(self._punches, missing)
            if sure is not None:
                self._recorder.keep(session, sure, count=self._recorder.count + (missing or 0))
                break
            more = self._wait_for(session, turn, missing or 0)
            if not more or self._events > MOST_EVENTS:
                self._log_reader.catch_up(session, turn, self._punches)
                break
            if missing == len(self._punches) and not self._is_in_doubt(self._punches):
                # The terminal may count more by now. Up to that count these events are complete and in order.
                self._recorder.keep(session, self._punches, count=self._recorder.count + missing)
                break
        _acknowledge(session, self._events)
        self.begin()

    def _sure(self, punches: Sequence[Punch], missing: int | None) -> Sequence[Punch] | None:
        """Which of these are new, given how many uncounted punches there are; None where only the log shows that.

        `missing` is None where the terminal's count says nothing.
        """
        seen: dict[PunchKey, Punch] = {}
        for punch in punches:
            if not self._recorder.book.knows(punch):
                seen.setdefault(key_of(punch), punch)
        fresh = list(seen.values())
        if self._is_mixed_up(fresh):
            return None
        # A remembered punch is never taken as new by the count: it may be a repeated event, and the count another
        # punch's.
        return fresh if missing == len(fresh) or (missing is None and len(fresh) == len(punches)) else None

    def _wait_for(self, session: Session, turn: Turn, wanted: int) -> bool:
        """Read events until there are as many punches as wanted, or none comes for a while; whether any came."""
        before = self._events
        # A terminal may count more punches than it ever sends, and send without a pause: a request must not wait for
        # that.
        while len(self._punches) < wanted and self._events - before <= MOST_EVENTS and not turn.waker.woken:
            if (more := session.hear(GRACE_S, turn.waker)) is None:
                break
            self._punches += more
            self._events += 1
        return self._events > before

    def _is_mixed_up(self, punches: Sequence[Punch]) -> bool:
        """Whether datagrams may have arrived in another order than they were sent."""
        if self._device.transport != "udp" or len(punches) < 2:
            return False
        times = [moment_of(punch) for punch in punches]
        return any(later <= earlier for earlier, later in itertools.pairwise(times))


def _acknowledge(session: Session, events: int) -> None:
    for _ in range(events):
        session.acknowledge()
