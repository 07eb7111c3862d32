"""What can be seen and heard in front of a terminal: display, voice, door."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zkbridge.simulator.device.notices import Notices


class Front:
    """The display's lines, the last sentence, the door."""

    def __init__(self, notices: Notices) -> None:
        self.lcd: dict[int, str] = {}
        self.message = ""
        self.sleeping = False
        self._door_until = 0.0
        self._notices = notices

    @property
    def door_open(self) -> bool:
        """Whether the door is open now."""
        return time.monotonic() < self._door_until

    def open_door(self, seconds: float) -> None:
        """Release the door for a time."""
        self._door_until = time.monotonic() + seconds
        self._notices.add(f"door open for {seconds:g} s")

    def say(self, text: str) -> None:
        """Show and speak a sentence."""
        self.message = text
        self._notices.add(f"says: {text}")

    def shown(self) -> str:
        """What stands on the display of an enabled terminal; empty when that is the time."""
        if self.lcd:
            return " / ".join(text for _line, text in sorted(self.lcd.items()))
        return "(asleep)" if self.sleeping else self.message
