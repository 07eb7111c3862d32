"""What documents have left behind on one device: whom applied ones have named, and the parts that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Claims(Protocol):
    """The user_ids that are claimed; kept from one document to the next."""

    def all(self) -> frozenset[str]:
        """Each of them. Raises LedgerUnavailable."""

    def keep(self, user_ids: frozenset[str], /) -> None:
        """Have just these claimed from now on. Raises LedgerUnavailable."""

    def rows(self, source: str, parts: Sequence[str], /) -> list[Any] | None:
        """The rows of parts that came on the topic of a device or group, by their SHA-256; None where one has gone.

        Raises LedgerUnavailable.
        """

    def document(self) -> bytes | None:
        """The last document, as the ledger keeps it, without PINs; None: there was none. Raises LedgerUnavailable."""

    def note_drift(self, users: int, /) -> None:
        """The terminal differs from the document in so many users. Raises LedgerUnavailable."""


class NoClaims:
    """Claims of a device that nothing is kept of."""

    def all(self) -> frozenset[str]:
        """Nobody."""
        return frozenset()

    def keep(self, _user_ids: frozenset[str], /) -> None:
        """Nothing is kept."""

    def rows(self, _source: str, _parts: Sequence[str], /) -> list[Any] | None:
        """No part is kept."""
        return None

    def document(self) -> bytes | None:
        """There was none."""
        return None

    def note_drift(self, _users: int, /) -> None:
        """Nothing is kept."""
