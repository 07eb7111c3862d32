"""Sends replies that were kept in the ledger."""

from __future__ import annotations

from zkbridge.bridge.ledger_care import LedgerCare
from zkbridge.ledger.records import Answer
from zkbridge.outbox.replies import Outbox
from zkbridge.runtime.scheduler import Upkeep

#: Seconds after an answer until the write-ahead log is emptied of what was asked.
SCRUB_AFTER_S = 1.0


class ReplyDispatch:
    """Hands kept replies to the outbox, and has their requests wiped soon after. Called from any thread."""

    def __init__(self, outbox: Outbox, upkeep: Upkeep, care: LedgerCare) -> None:
        self._outbox = outbox
        self._upkeep = upkeep
        self._care = care

    def note_answers(self, answers: list[Answer] | None = None) -> None:
        """Send these (None: whatever the ledger has); soon after, the ledger writes what it has put off, and wipes."""
        if answers is None:
            self._outbox.wake()
        elif answers:
            self._outbox.offer(answers)
        self.scrub_soon()

    def scrub_soon(self) -> None:
        """Have the ledger wipe what need not stay."""
        self._upkeep.later("scrub", SCRUB_AFTER_S, self._care.scrub)
