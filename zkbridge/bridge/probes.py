"""When terminals are probed: connected to without a request, to see whether they answer."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from functools import partial

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.dates import DateSchedule
from zkbridge.bridge.workers import Roster
from zkbridge.ledger.records import Request
from zkbridge.machine.limits import SHORTAGES
from zkbridge.runtime.scheduler import Upkeep

log = logging.getLogger(__name__)

#: Seconds until a worker that could not begin is asked again.
BEGIN_AGAIN_S = 1.0
#: The first probes are spread over this many seconds for each hundred of them.
SPREAD_PER_HUNDRED_S = 2.0
#: A terminal that may be disabled is probed again after this many seconds, doubling up to the most.
PENDING_FIRST_S, PENDING_MOST_S = 5.0, 300.0


class Probes:
    """Schedules probes of terminals: after the start, every `probe_interval`, and where one is due sooner.

    `dates` are those at which users are to be blocked or unblocked.
    """

    def __init__(self, current: CurrentConfig, roster: Roster, upkeep: Upkeep, dates: DateSchedule) -> None:
        self.dates = dates
        self._current = current
        self._roster = roster
        self._upkeep = upkeep

    def schedule(self, devices: Iterable[str]) -> None:
        """Terminals that may be disabled first; the rest at random moments, so that not all are called at once."""
        workers = [self._roster[device] for device in devices]
        self.dates.schedule(worker.device.id for worker in workers)
        spread = SPREAD_PER_HUNDRED_S * len(workers) / 100
        probe_s = self._current.config.probe_interval
        for worker in workers:
            id_ = worker.device.id
            wanted = worker.pending_enable or worker.is_waited_for
            first = 0.0 if worker.pending_enable else random.uniform(0, spread)  # noqa: S311 - only spreads the load
            if probe_s or wanted or worker.listens:
                self._upkeep.later(("first probe", id_), first, partial(self._probe, id_))
            if probe_s:
                self._upkeep.later(("probe", id_), first + probe_s, partial(self._probe, id_, again_s=probe_s))

    def probe_soon(self, device: str, attempt: int) -> None:
        """Probe a terminal again that may be disabled, or that requests wait for; see `WorkerHooks`."""
        pause = min(PENDING_FIRST_S * 2 ** min(attempt - 1, 10), PENDING_MOST_S)
        self._upkeep.later(("pending", device), pause, partial(self._probe, device))

    def after(self, device: str, seconds: float) -> None:
        """Probe a terminal in so many seconds that was looked for: it answers again, or is looked for again."""
        self._upkeep.later(("looked for", device), seconds, partial(self._probe, device))

    def submit(self, device: str, requests: list[Request], *, resumed: bool = False) -> None:
        """Hand over requests that are on disk; a worker that cannot begin, for want of a thread, is asked again."""
        try:
            self._roster[device].submit(requests, resumed=resumed)
        except Exception as error:
            if not SHORTAGES.note(error):
                log.exception("device=%s cannot be asked just now; its requests are on disk", device)
            self._upkeep.later(("begin", device), BEGIN_AGAIN_S, partial(self._probe, device))

    def _probe(self, device: str, *, again_s: float | None = None) -> float | None:
        """Have a device probed; one that was removed is not probed again."""
        worker = self._roster.by_device.get(device)
        if worker is None:
            return None
        try:
            worker.probe()
        except RuntimeError as error:  # no thread can be started
            if not SHORTAGES.note(error):
                raise
            return BEGIN_AGAIN_S
        return again_s
