"""Whom applied documents have named, on one device."""

from __future__ import annotations

from typing import Protocol


class Claims(Protocol):
    """The user_ids that are claimed; kept from one document to the next."""

    def all(self) -> frozenset[str]:
        """Each of them. Raises LedgerUnavailable."""

    def keep(self, user_ids: frozenset[str], /) -> None:
        """Have just these claimed from now on. Raises LedgerUnavailable."""


class NoClaims:
    """Claims of a device that nothing is kept of."""

    def all(self) -> frozenset[str]:
        """Nobody."""
        return frozenset()

    def keep(self, _user_ids: frozenset[str], /) -> None:
        """Nothing is kept."""
