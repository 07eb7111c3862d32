"""The ledger's upkeep: forgetting old requests, making room, looking at its files."""

from __future__ import annotations

import logging

from zkbridge.bridge.current import CurrentConfig
from zkbridge.ledger.budget import Budget
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.file_watch import FileWatch, LedgerLost
from zkbridge.ledger.ledger import Ledger
from zkbridge.runtime.scheduler import Supervisor, Upkeep

log = logging.getLogger(__name__)

#: Seconds until old requests are forgotten for the first time, and between the times.
FORGET_FIRST_S, FORGET_S = 60.0, 3600.0
#: Seconds after the start, and after an answer, until the ledger's bytes are counted.
TIDY_AFTER_S = 5.0
#: Seconds between looks at the ledger's files: a file that is gone is noticed within a minute.
LOOK_S = 30.0


class LedgerCare:
    """Schedules that work. A ledger file that is lost for good ends the daemon (`supervisor`)."""

    def __init__(
        self, ledger: Ledger, budget: Budget, upkeep: Upkeep, *, current: CurrentConfig, supervisor: Supervisor
    ) -> None:
        self._ledger = ledger
        self._budget = budget
        self._upkeep = upkeep
        self._current = current
        self._supervisor = supervisor
        self._watch = FileWatch(ledger)

    def start(self) -> None:
        """Begin with what is done again and again."""
        self._budget.hold_room()
        self._upkeep.later("forget", FORGET_FIRST_S, self._forget)
        self._upkeep.later("tidy", TIDY_AFTER_S, self._tidy)
        self._upkeep.later("ledger files", LOOK_S, self._look)

    def scrub(self) -> None:
        """Wipe what was asked and is done; a while later count the bytes."""
        self._ledger.scrub()
        self._upkeep.later("tidy", TIDY_AFTER_S, self._tidy)

    def full(self) -> None:
        """The disk has no room for what is to be kept: make some, in a moment and from the upkeep's thread."""
        self._upkeep.later("room", 0.0, self._make_room)

    def _forget(self) -> float:
        settings = self._current.config.ledger
        try:
            dropped = self._ledger.retention.forget(keep_s=settings.keep, most=settings.max_requests)
        except LedgerUnavailable as failure:
            log.warning("old requests cannot be forgotten now: %s", failure)
        else:
            if dropped:
                log.info("forgot %d old requests", dropped)
            self.scrub()
        return FORGET_S

    def _tidy(self) -> None:
        most = self._current.config.ledger.max_bytes
        try:
            dropped = self._budget.tidy(most)
        except LedgerUnavailable as failure:
            log.warning("the ledger cannot be brought to its %d bytes now: %s", most, failure)
            return
        if dropped:
            log.info("forgot %d old answers", dropped)

    def _make_room(self) -> None:
        try:
            dropped = self._budget.make_room()
        except LedgerUnavailable as failure:
            log.error("the disk is full, and no room can be made: %s", failure)  # noqa: TRY400 - the cause is the line
            return
        log.error("the disk is full: %d remembered answers were forgotten to make room", dropped)

    def _look(self) -> float:
        try:
            loss = self._watch.look()
            if loss is None:
                return LOOK_S
            if not loss.can_be_healed:
                log.critical("%s; the bridge ends", loss.what)
                self._supervisor.fail(LedgerLost(loss.what))
                return LOOK_S
            self._watch.heal()
            log.error("%s while the bridge was using it; everything that was kept has been written anew", loss.what)
        except LedgerUnavailable as failure:
            log.warning("the ledger's files cannot be looked at or written anew now: %s", failure)
        return LOOK_S
