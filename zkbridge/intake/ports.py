"""What intake asks of the rest of the daemon."""

from __future__ import annotations

from typing import Protocol

from zkbridge.ledger.records import Request


class Digests(Protocol):
    """The ledger, as far as it says whether two contents are the same."""

    def digest(self, *parts: bytes | str | None) -> bytes:
        """Return a keyed digest of the parts: equal for equal ones."""


class IntakePorts(Protocol):
    """The workers, the outbox and the broker, as intake needs them. Called from the thread that receives messages."""

    def waiting(self, device: str, /) -> int:
        """Return how many requests of a configured device are unfinished."""

    def submit(self, device: str, requests: list[Request], /) -> None:
        """Hand requests that are on disk to the device's worker. Raises nothing."""

    def note_answers(self) -> None:
        """Have the outbox send replies that are on disk."""

    def may_have_waited(self) -> bool:
        """Return whether the broker may have held back what arrives now since an earlier connection."""

    def shows_retained(self) -> bool:
        """Return whether a message that clears a retained one would be seen as such a message."""
