"""What is known of one terminal: learnt in its sessions, kept in the ledger, reported to the bridge."""

from __future__ import annotations

import logging

from zkbridge.commands.clock import wall_clock
from zkbridge.config.models import Device
from zkbridge.contract.errors import ConnectionFailure, DeviceAuthFailed, TerminalError
from zkbridge.contract.texts import Language
from zkbridge.contract.wrong_device import WrongDevice
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.telemetry.events import ClockRead, Counted, EventSink, Failed, Identified, SessionEnded, Trouble
from zkbridge.terminal.session import Info, Known, Session, Sizes
from zkbridge.worker.surroundings import WorkerHooks

log = logging.getLogger(__name__)


class TerminalFacts:
    """What is known of one terminal. Only the worker's thread changes it.

    `pending_enable`: the terminal may still be disabled by the bridge. `reached`: it has answered since it last
    failed. `known` is what later sessions need of earlier ones, such as the size of a user's record.
    """

    def __init__(
        self,
        device: Device,
        ledger: Ledger,
        *,
        hooks: WorkerHooks,
        events: EventSink,
        language: Language,
        pending_enable: bool,
    ) -> None:
        self.pending_enable = pending_enable
        self.reached = False
        self._device = device
        self._ledger = ledger
        self._hooks = hooks
        self._events = events
        self._language = language
        stored = ledger.facts.recall(device.id, "terminal")
        self.known = Known.parse(stored) if stored else Known()

    def note_reached(self) -> None:
        """The terminal has answered."""
        self.reached = True
        self._hooks.note_availability(self._device.id, None)

    def note_failure(self, failure: TerminalError) -> None:
        """A conversation failed for good."""
        if isinstance(failure, (ConnectionFailure, DeviceAuthFailed, WrongDevice)):
            self._hooks.note_availability(self._device.id, failure)
        self._events(Failed(self._device.id, failure.code, final=True))
        self.reached = False

    def note_unasked_failure(self, failure: TerminalError) -> None:
        """A conversation failed for good that no request had asked for."""
        self._events(Trouble(self._device.id, failure.code, failure.sentence(self._language), probe=True))

    def note_attempt_failed(self, failure: BaseException) -> None:
        """A conversation failed, and is tried again."""
        if isinstance(failure, ConnectionFailure):
            self._events(Failed(self._device.id, failure.code, final=False))

    def note_session_end(self, seconds: float, disabled_s: float | None) -> None:
        """A session took so many seconds; the terminal was disabled for `disabled_s` of them, None if not at all."""
        self._events(SessionEnded(self._device.id, seconds, disabled_s))

    def note_told(self, info: Info) -> None:
        """What the terminal said of itself; what it was not asked is left out."""
        device, sizes = self._device, info.sizes
        if sizes != Sizes():
            self._events(Counted(device.id, sizes.users, sizes.users_capacity, sizes.users_left))
        if info.serial_number or info.device_name or info.firmware:
            self._events(Identified(device.id, info.serial_number, info.device_name, info.firmware))
        if info.clock is not None:
            drift = info.clock.shown - wall_clock(device, info.clock.at)
            self._events(ClockRead(device.id, drift.total_seconds()))

    def learn_from(self, session: Session) -> None:
        """Keep what a session has shown, however it ended."""
        self.note_told(session.told)
        if session.known != self.known:
            self.known = session.known
            self._remember(session.known)
        if session.pending_enable:
            self.pending_enable = True
        elif self.pending_enable and session.enabled:
            self.mark_enabled()

    def mark_enabled(self) -> None:
        """The terminal has confirmed that it is enabled."""
        self._ledger.enables.mark_enabled(self._device.id)
        self.pending_enable = False
        self._hooks.note_answers([])

    def _remember(self, known: Known) -> None:
        try:
            self._ledger.facts.remember(self._device.id, "terminal", str(known))
        except LedgerUnavailable as failure:
            log.warning("device=%s what was learnt is not kept: %s", self._device.id, failure)
