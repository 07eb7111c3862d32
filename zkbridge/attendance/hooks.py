"""What listening to a terminal needs of the rest of the daemon."""

from __future__ import annotations

from typing import Protocol

from zkbridge.contract.errors import TerminalError


class ListenerHooks(Protocol):
    """What the bridge does when a terminal sent punches, or did not answer.

    Called from the worker's thread; raises nothing.
    """

    def note_punches(self) -> None:
        """Punches were stored; publish them."""

    def note_availability(self, device: str, failure: TerminalError | None, /) -> None:
        """The device answers (None), or listening to it has failed."""
