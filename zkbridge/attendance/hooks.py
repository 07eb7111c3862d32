"""What listening to a terminal needs of the rest of the daemon."""

from __future__ import annotations

from typing import Protocol


class ListenerHooks(Protocol):
    """What the bridge does when a terminal sent punches, or did not answer.

    Called from the worker's thread; raises nothing.
    """

    def note_punches(self) -> None:
        """Punches were stored; publish them."""

    def note_availability(self, device: str, reason: str | None, /) -> None:
        """The device answers (None), or does not, for this reason: a sentence."""
