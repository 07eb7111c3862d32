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

#: Events that the terminal counts and has not told yet are waited for so long.
GRACE_S = 0.5
#: Events that are taken at once.
BATCH = 200
#: After so many events without an end the log is read instead.
MOST_EVENTS = 2000


class LiveEvents:
    """The events of one device, held against its count; where they do not suffice its log is read."""

    def __init__(self, device: Device, recorder: Recorder, counts: PunchCount, log_reader: LogReader) -> None:
        self._device = device
        self._recorder = recorder
        self._counts = counts
        self._log_reader = log_reader

    def take(self, session: Session, turn: Turn, heard: list[Punch]) -> None:
        """Everything that has been told by now; it is acknowledged once it is kept."""
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
        """Whether these may not be all, or not new, or not in order; then the terminal's count is asked for.

        Datagrams get lost, doubled and change places. In a stream nothing does, but an event may be told again, or
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

    def settle(self, session: Session, turn: Turn, punches: list[Punch], events: int) -> None:
        """Tell what was heard if the terminal counts as much, wait for what it counts more, else read its log."""
        while True:
            counted = self._counts.moving(session)
            missing = None if counted is None else counted - self._log_reader.off_by - self._recorder.count
            sure = self._sure(punches, missing)
            if sure is not None:
                self._recorder.keep(session, sure, count=self._recorder.count + (missing or 0))
                break
            more = self._wait_for(session, turn, punches, missing or 0)
            events += more
            if not more or events > MOST_EVENTS:
                self._log_reader.catch_up(session, turn, punches)
                break
            if missing == len(punches) and not self._is_in_doubt(punches):
                # There may be more by now, for people do not wait; but so far these are all, and in order.
                self._recorder.keep(session, punches, count=self._recorder.count + missing)
                break
        _acknowledge(session, events)

    def _sure(self, punches: Sequence[Punch], missing: int | None) -> Sequence[Punch] | None:
        """Which of these are new, given how many the terminal counts that were not told; None where the log must say.

        `missing` is None where the terminal's count says nothing.
        """
        seen: dict[PunchKey, Punch] = {}
        for punch in punches:
            if not self._recorder.book.knows(punch):
                seen.setdefault(key_of(punch), punch)
        fresh = list(seen.values())
        if self._is_mixed_up(fresh):
            return None
        # By the count one that is known is never new: it may be told again while it is another that makes the count.
        return fresh if missing == len(fresh) or (missing is None and len(fresh) == len(punches)) else None

    def _wait_for(self, session: Session, turn: Turn, punches: list[Punch], wanted: int) -> int:
        """Read events until there are as many punches as wanted, or none comes for a while; how many events."""
        events = 0
        # A terminal may count more than it ever tells, and tell without a pause: a request must not wait for that.
        while len(punches) < wanted and events <= MOST_EVENTS and not turn.waker.woken:
            if (more := session.hear(GRACE_S, turn.waker)) is None:
                break
            punches += more
            events += 1
        return events

    def _is_mixed_up(self, punches: Sequence[Punch]) -> bool:
        """Whether datagrams may have come in another order than they were sent."""
        if self._device.transport != "udp" or len(punches) < 2:
            return False
        times = [moment_of(punch) for punch in punches]
        return any(later <= earlier for earlier, later in itertools.pairwise(times))


def _acknowledge(session: Session, events: int) -> None:
    for _ in range(events):
        session.acknowledge()
