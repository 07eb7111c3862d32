"""Facts that the bridge keeps on disk where the disk takes them."""

from __future__ import annotations

import logging

from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger

log = logging.getLogger(__name__)


class Facts:
    """Facts by subject and name, in the ledger. Called from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def recall(self, subject: str, name: str) -> str | None:
        """The fact, or None."""
        return self._ledger.facts.recall(subject, name)

    def keep(self, subject: str, name: str, value: str) -> None:
        """Keep a fact; one that the disk does not take is logged, and found out anew by the next run."""
        try:
            self._ledger.facts.remember(subject, name, value)
        except LedgerUnavailable as failure:
            log.warning("what is known of %s is not kept: %s", subject, failure)
