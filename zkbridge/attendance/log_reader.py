"""Reads what is new in a terminal's attendance log, and stores the punches that came without an event."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from zkbridge.attendance.bookmark import COMPARED, PunchKey, key_of
from zkbridge.attendance.punch_count import PunchCount
from zkbridge.attendance.recorder import Recorder
from zkbridge.attendance.turn import Turn
from zkbridge.attendance.watch import Watch
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected
from zkbridge.port.punches import Punch
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session

log = logging.getLogger(__name__)

#: Seconds that reading a whole log may take: enough for 100,000 punches at 1,000 a second.
LOG_S = 300.0
#: A log of at most this many punches is read on every new connection: one that was cleared and filled may count the
#: same.
SHORT_LOG = 200
#: How many times a request may interrupt reading the log; after that the request waits.
MAKES_WAY = 3
#: How many times a log is asked for that the terminal does not send, or not whole; then the pause until the next
#: (seconds).
REFUSALS = 5
READ_AGAIN_S = 600.0
#: Punches of the log that are stored in one commit.
BATCH = 200


class LogReader:
    """The log of one device. `off_by` is the terminal's count minus the place, where its log cannot be read."""

    def __init__(self, device: Device, recorder: Recorder, counts: PunchCount, watch: Watch) -> None:
        self._device = device
        self._recorder = recorder
        self._counts = counts
        self._watch = watch
        self.off_by = 0
        self._read_again_at = 0.0
        self._refusals = 0
        self._made_way = 0

    def make_way(self) -> None:
        """Note that a request interrupted reading; after some times requests wait instead."""
        self._made_way += 1

    def forget_refusal(self, now: float) -> None:
        """Read a log again that the terminal did not send, once enough time has passed."""
        if self.off_by and now >= self._read_again_at:
            self.off_by = 0

    def may_hold_news(self, count: int | None) -> bool:
        """Whether the log is to be read on a new connection, given the terminal's count of its records.

        Also where none of its punches is remembered: if it looked empty for a while, all would be taken as new.
        """
        return count is None or count != self._recorder.count or count <= SHORT_LOG or not self._recorder.book.traces

    def catch_up(self, session: Session, turn: Turn, heard: Sequence[Punch]) -> None:
        """Store the punches of the log that are new; those that came without an event are `late`."""
        read = self._read_new(session, turn)
        if read is None:
            fresh = [punch for punch in heard if not self._recorder.book.knows(punch)]
            self._recorder.keep(session, fresh, count=self._recorder.count + len(fresh))
            self.off_by -= len(fresh)
            return
        new, total, records = read
        self._recorder.remember(records[: len(records) - len(new)])
        self._recorder.book.note_uncounted(0)
        live = Counter(map(key_of, heard))
        if missed := len(new) - (_common(live, new) if live else 0):
            log.info("device=%s has %d punches in its log that came without an event", self._device.id, missed)
        for at in range(0, len(new), BATCH):
            part = []
            for punch in new[at : at + BATCH]:
                is_live = live[key_of(punch)] > 0
                live[key_of(punch)] -= is_live
                part.append((punch, not is_live))
            self._watch.expect()
            self._recorder.keep_rows(session, part, count=total - len(new) + at + len(part))
            if self._recorder.has_no_room():
                return  # the rest stands in the log, and is read again once there is room
        self._recorder.move_to(total)
        self._recorder.arrange(records)
        unrecorded = [punch for punch in heard if not self._recorder.book.knows(punch)]
        if unrecorded:  # the terminal does not record them, or its log looked shorter just now
            self._recorder.keep(session, unrecorded, count=self._recorder.count)
            self._recorder.book.note_uncounted(len(unrecorded))
        self.off_by = 0

    def _read_new(self, session: Session, turn: Turn) -> tuple[Sequence[Punch], int, Sequence[Punch]] | None:
        """The unpublished punches of the log, its number of records, and the log; None where the terminal sends none.

        Of a long log only the end is read, if that begins with what was published last: then the log is empty here. So
        it is if none of its punches is remembered yet; then the end stands here for the log.
        """
        self._watch.expect(LOG_S)
        session.extend(Deadline.after(LOG_S))

        def give_up() -> bool:
            return turn.closing.is_set() or (self._made_way < MAKES_WAY and turn.is_wanted())

        first = self._recorder.count - COMPARED
        if first > SHORT_LOG:
            tail = session.attendance_from(first, give_up=give_up)
            is_first = not self._recorder.book.traces and tail is not None and len(tail) >= COMPARED
            if tail is not None and (is_first or self._recorder.book.continues(tail)):
                self._made_way = self._refusals = 0
                return tail[COMPARED:], first + len(tail), tail if is_first else ()
        try:
            records = session.attendance(give_up=give_up)
            self._must_not_shrink(session, len(records))
        except DeviceRejected as refusal:
            self._tolerate_refusal(session, refusal)
            return None
        self._made_way = self._refusals = 0
        return self._recorder.book.new_in(records), len(records), records

    def _must_not_shrink(self, session: Session, read: int) -> None:
        """Raise DeviceRejected (`log`) for a log that is shorter than the published part and may not have been cleared.

        It was cleared if the terminal, asked once more, counts as much, and once again on the next connection: a busy
        one may show less just then. Where it does not count, all of several readings must say so.
        """
        told = self._recorder.count
        if read >= told:
            return
        count = self._counts.total(session)
        if count == read and self._refusals:
            return
        if count is None and self._refusals + 1 >= REFUSALS:
            return
        detail = f"it reads as {read} punches where {told} were told"
        raise DeviceRejected("log", host=session.device.host, port=session.device.port, detail=detail)

    def _tolerate_refusal(self, session: Session, refusal: DeviceRejected) -> None:
        """Go on with live punches where a terminal repeatedly does not send its log. Until then the error is raised.

        The place stays: the log is read again later, and published from there.
        """
        self._refusals += 1
        if self._refusals < REFUSALS:
            raise refusal
        count = self._counts.total(session)
        log.error("%s: punches that came without an event are not published", refusal)
        self.off_by = 0 if count is None else count - self._recorder.count
        self._read_again_at = time.monotonic() + READ_AGAIN_S


def _common(heard: Counter[PunchKey], punches: Iterable[Punch]) -> int:
    """How many of the punches are among the events that arrived, each of which counts once."""
    found = Counter(key for key in map(key_of, punches) if key in heard)
    return (found & heard).total()
