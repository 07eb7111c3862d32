"""Follows a terminal's punches over an open session: by its events, and by its log where events are missing."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from zkbridge.attendance.live_events import LiveEvents
from zkbridge.attendance.log_reader import LOG_S, LogReader
from zkbridge.attendance.names import UserNames
from zkbridge.attendance.punch_count import PunchCount
from zkbridge.attendance.recorder import Recorder
from zkbridge.attendance.turn import Turn
from zkbridge.attendance.watch import Watch
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Place
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session

log = logging.getLogger(__name__)

#: After this many seconds without an event the terminal is asked how many punches it holds. With the time for its
#: answer, a connection that died silently is noticed within 30 seconds.
QUIET_S = 10.0
#: Seconds after which it is asked although events come: some terminals send an event for one punch and not for the
#: next.
TRUSTED_S = 60.0
#: Seconds to wait for an event before looking whether a request or another process wants the terminal.
LOOK_S = 1.0


class PunchFollower:
    """What is known of one terminal's punches and of the open connection, which began at `connected_at`."""

    def __init__(self, device: Device, ledger: Ledger, recorder: Recorder, names: UserNames, watch: Watch) -> None:
        self._device = device
        self._ledger = ledger
        self._recorder = recorder
        self._names = names
        self._counts = PunchCount(device)
        self._log_reader = LogReader(device, recorder, self._counts, watch)
        self._events = LiveEvents(device, recorder, self._counts, self._log_reader)
        self._warned = False
        self._tells = False  #: whether the terminal has agreed to send events on this connection
        self.connection = 0
        self.connected_at = 0.0

    def make_way(self) -> None:
        """Note that reading the log was interrupted by a request."""
        self._log_reader.make_way()

    def forget_names(self) -> None:
        """Read the users' names anew before the next event: one may have changed."""
        self._names.forget()

    def has_no_room(self) -> bool:
        """Whether no more punches are kept for now, because too many wait for the broker."""
        return self._recorder.has_no_room()

    def lose_place(self) -> None:
        """Read the place from disk again, because a punch could not be stored."""
        self._recorder.lose()

    def begin(self, session: Session, turn: Turn) -> None:
        """Register for events, and find what was missed: by the log on a new connection, else where the count shows it.

        Asked anew after every request, for an enrolment ends the events. Raises TerminalError.
        """
        if self._names.table is not None:
            session.seed_table(self._names.table)
        fresh = turn.line.number != self.connection
        try:
            session.listen(again=self._tells and not fresh)
            self._tells = True
        except DeviceRejected as refusal:
            self._tells = False
            self._warn_once(f"{refusal}: punches are fetched from its log instead")
        if not fresh and self._recorder.is_open:
            self._events.settle(session, turn, [], 0)
            return
        self.connected_at = time.monotonic()
        self._counts.begin()
        self._events.begin()
        self._names.forget()
        self._log_reader.off_by = 0
        self._arrive(session, turn)
        self.connection = turn.line.number

    def step(self, session: Session, turn: Turn) -> None:
        """Wait for the next event; ask the terminal for its count when none has come for long."""
        heard = session.hear(LOOK_S, turn.waker)
        now = time.monotonic()
        self._log_reader.forget_refusal(now)
        if heard is not None:
            self._events.take(session, turn, heard)
        elif not turn.waker.woken and now - self._counts.asked_at >= QUIET_S:
            self._events.settle(session, turn, [], 0)
        if now - self._counts.asked_at >= TRUSTED_S:
            self._events.settle(session, turn, [], 0)

    def _arrive(self, session: Session, turn: Turn) -> None:
        """Begin a new connection: find out which terminal it is, and read the new punches of its log."""
        serial = session.option("~SerialNumber") or ""  # some do not say, or not just now: that makes it no other
        place = self._ledger.punches.place(self._device.id)
        if place is None or (serial and place.serial and serial != place.serial):
            self._start_anew(session, turn, serial, known=place is not None)
            return
        self._recorder.open(replace(place, serial=serial or place.serial))
        if self._log_reader.may_hold_news(self._counts.moving(session, self._recorder.count)):
            self._log_reader.catch_up(session, turn, [])

    def _start_anew(self, session: Session, turn: Turn, serial: str, *, known: bool) -> None:
        """Begin with punches from now on: those of years, published all at once, are of no use.

        The last punches of the log are remembered: else the bridge could not tell that the log was cleared, dropped its
        oldest, or only looked empty for a while, before a first punch was published.
        """
        count = self._counts.total(session)
        if count is None:
            session.extend(Deadline.after(LOG_S))
            count = len(session.attendance())
        self._recorder.begin(Place(serial, count))
        try:
            if count:
                self._log_reader.catch_up(session, turn, [])
        finally:
            log.info(
                "device=%s is %s: punches are told from now on, not the %d in its log",
                self._device.id,
                "another terminal" if known else "listened to for the first time",
                count,
            )

    def _warn_once(self, sentence: str) -> None:
        if not self._warned:
            log.warning("device=%s %s", self._device.id, sentence)
        self._warned = True
