"""When terminals are compared with the documents that say who is to be on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.reception import Reception
from zkbridge.ledger.documents import Documents
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.runtime.scheduler import Upkeep

#: Seconds after which it is asked again how often a terminal is to be compared: a document may have come.
LOOK_S = 60.0
#: Seconds until a comparison is tried again that could not be kept, or that requests went before.
AGAIN_S = 5.0


class Intervals(NamedTuple):
    """How often a terminal is compared with its document, and made equal to it again, in seconds; 0: never."""

    check_s: float = 0
    repair_s: float = 0


class Passed(NamedTuple):
    """How long ago a terminal was compared with its document, and made equal to it, in seconds."""

    check_s: float
    repair_s: float


def next_comparison(every: Intervals, ago: Passed) -> tuple[float, bool]:
    """Seconds until the next comparison is due (0: now), and whether it repairs what differs.

    At most LOOK_S seconds: the caller then calls this again. A repair is a comparison too.
    """
    repair_s = max(0.0, every.repair_s - ago.repair_s) if every.repair_s else LOOK_S
    check_s = max(0.0, every.check_s - min(ago)) if every.check_s else LOOK_S
    return min(repair_s, check_s, LOOK_S), bool(every.repair_s) and repair_s <= check_s


class DesiredChecks:
    """Has terminals compared with their documents, at `desired.check_interval` and as the documents say."""

    def __init__(
        self,
        current: CurrentConfig,
        ledger: Ledger,
        reception: Reception,
        upkeep: Upkeep,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._current = current
        self._documents = Documents(ledger.facts)
        self._reception = reception
        self._upkeep = upkeep
        self._clock = clock
        #: When each device was compared, and repaired, for the last time.
        self._last: dict[str, tuple[float, float]] = {}

    def schedule(self, devices: Iterable[str]) -> None:
        """Begin with these devices, one interval from now."""
        if self._current.config.desired.enabled:
            for device in devices:
                now = self._clock()
                self._last[device] = now, now
                self._upkeep.later(("desired", device), 0.0, partial(self.look, device))

    def look(self, device: str) -> float | None:
        """Have a device compared if it is due; in how many seconds to look again, None: it was removed."""
        if device not in self._current.config.devices:
            return None
        try:
            return self._look(device)
        except LedgerUnavailable:
            return AGAIN_S

    def _look(self, device: str) -> float:
        every, now = self._intervals(device), self._clock()
        checked, repaired = self._last[device]
        wait_s, repair = next_comparison(every, Passed(now - checked, now - repaired))
        if wait_s > 0:  # a document may come that is to be applied
            return min(wait_s, self._current.config.desired.check_interval or LOOK_S)
        if not self._reception.compare(device, repair=repair):
            return AGAIN_S
        self._last[device] = now, now if repair else repaired
        return next_comparison(every, Passed(0, 0 if repair else now - repaired))[0]

    def _intervals(self, device: str) -> Intervals:
        """As configured and as the last document says, if that is to be applied at all."""
        last, settings = self._documents.last(device), self._current.config.desired
        if not last.apply:
            return Intervals()
        of_config = settings.check_interval if settings.repair else 0
        wanted = [each for each in (of_config, last.repair_interval) if each]
        return Intervals(settings.check_interval, min(wanted, default=0))
