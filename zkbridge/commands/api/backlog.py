"""Tells commands how much of a terminal's log was published, for a device with `attendance: live`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zkbridge.port.punches import Published, Punch


class PunchBacklog(Protocol):
    """The punches of one device that were read from its terminal. Each method raises LedgerUnavailable."""

    def published(self) -> Published | None:
        """The place up to which they were published; None where nothing was read yet."""

    def knows_all(self, log: Sequence[Punch], /) -> bool:
        """Whether every punch of this log was read before."""

    def note_cleared(self) -> None:
        """Note that the log is empty: what it holds from now on is new. Raises nothing."""


class NoBacklog:
    """For a device whose punches are not published."""

    def published(self) -> Published | None:
        """Nothing."""
        return None

    def knows_all(self, log: Sequence[Punch], /) -> bool:
        """Nothing is known."""
        return not log

    def note_cleared(self) -> None:
        """Nobody reads it."""
