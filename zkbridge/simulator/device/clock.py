"""The clock of a terminal: a wall clock without a time zone, ahead of or behind this machine's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zkbridge.simulator.device.memory import Memory


class Clock:
    """Shows this machine's time and the difference that was set."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def now(self) -> datetime:
        """What it shows, in whole seconds."""
        offset = timedelta(seconds=self._memory.tables.clock_offset_s)
        return (datetime.now() + offset).replace(microsecond=0)  # noqa: DTZ005  local, as a wall clock

    def set(self, when: datetime) -> None:
        """Set it; the difference is kept."""
        offset = when - datetime.now()  # noqa: DTZ005  local, as a wall clock
        with self._memory.lock:
            self._memory.change(["clock", offset.total_seconds()])
