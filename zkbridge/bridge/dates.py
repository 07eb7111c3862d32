"""Calls terminals when a user is to be blocked or unblocked."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from zkbridge.bridge.workers import Roster
from zkbridge.machine.clock import Clock
from zkbridge.machine.limits import SHORTAGES
from zkbridge.runtime.scheduler import Upkeep

#: Seconds after which the clock is asked again whether a moment has come: it may have been set meanwhile.
LOOK_S = 60.0
#: Seconds until a worker is asked again whose date has come and is not carried out.
OVERDUE_S = 5.0


class DateSchedule:
    """Calls each worker at the moment of its next date. Called from any thread."""

    def __init__(self, roster: Roster, upkeep: Upkeep, clock: Clock) -> None:
        self._roster = roster
        self._upkeep = upkeep
        self._clock = clock

    def schedule(self, devices: Iterable[str]) -> None:
        """Begin with these devices."""
        for device in devices:
            self.note(device, self._roster[device].dates.next_at)

    def note(self, device: str, at: float | None) -> None:
        """The next date of a device's users is at this moment, in seconds since 1970; None: there is none."""
        if at is not None:
            left = max(0.0, at - self._clock.now())
            self._upkeep.later(("date", device, at), min(left, LOOK_S), partial(self._look, device, at))

    def _look(self, device: str, at: float) -> float | None:
        if (left := at - self._clock.now()) > 0:
            return min(left, LOOK_S)
        worker = self._roster.by_device.get(device)
        if worker is None or worker.dates.next_at is None or worker.dates.next_at > at:
            return None  # the device was removed, or it is done
        try:
            worker.look_at_dates()
        except RuntimeError as error:  # no thread can be started
            if not SHORTAGES.note(error):
                raise
        return OVERDUE_S
