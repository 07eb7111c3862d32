"""Whom applied documents have named on one device, and the parts of documents, in the ledger."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from zkbridge.ledger.documents import Documents
from zkbridge.ledger.facts import Facts

log = logging.getLogger(__name__)

_NAME = "claimed"


class KeptClaims:
    """The claimed user_ids of one device."""

    def __init__(self, device: str, facts: Facts) -> None:
        self._device = device
        self._facts = facts
        self._documents = Documents(facts)

    def all(self) -> frozenset[str]:
        """Each of them. Raises LedgerUnavailable."""
        return frozenset(json.loads(self._facts.recall(self._device, _NAME) or "[]"))

    def keep(self, user_ids: frozenset[str], /) -> None:
        """Have just these claimed from now on. Raises LedgerUnavailable."""
        if user_ids != self.all():
            self._facts.remember(self._device, _NAME, json.dumps(sorted(user_ids)))

    def rows(self, source: str, parts: Sequence[str], /) -> list[Any] | None:
        """The rows of these parts; None where one has gone. Raises LedgerUnavailable."""
        return self._documents.rows(source, parts)

    def document(self) -> bytes | None:
        """The last document, without PINs; None: there was none. Raises LedgerUnavailable."""
        return self._documents.content(self._device)

    def note_drift(self, users: int, /) -> None:
        """The terminal differs from the document in so many users. Raises LedgerUnavailable."""
        if users:
            log.warning("device=%s differs from its document of desired users in %d users", self._device, users)
        self._documents.keep_drift(self._device, users)
