"""What Home Assistant's part needs of the rest of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from zkbridge.contract.messages import Publication


class HomeAssistantPorts(Protocol):
    """The ledger's facts, the broker and the scheduler. For any thread; raises nothing."""

    def recall(self, subject: str, name: str, /) -> str | None:
        """Return a fact that was kept on disk, or None."""

    def keep(self, subject: str, name: str, value: str, /) -> None:
        """Keep a fact on disk."""

    def publish(self, publication: Publication, /) -> None:
        """Send a message if there is a connection; what is retained is published again on the next one anyway."""

    def later(self, key: Hashable, seconds: float, job: Callable[[], float | None], /) -> None:
        """Run a job in some seconds, and again in as many as it returns; a key that waits already is left alone."""

    def has_taken_all(self) -> bool:
        """Wait a little, and return whether the broker has confirmed everything that was published."""
