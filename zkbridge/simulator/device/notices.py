"""Lines of text about what changes at a terminal, for the screen and for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Notices:
    """Passes each line on to one listener, in the thread that caused it. No line holds a password or a card."""

    def __init__(self) -> None:
        self.listener: Callable[[str], None] = lambda _text: None

    def add(self, text: str) -> None:
        """Tell the listener what has changed."""
        self.listener(text)
