"""Looks for terminals whose address has changed, one at a time, beside the conversations of the workers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container
from pathlib import Path

from zkbridge.config.models import Device
from zkbridge.machine.limits import SHORTAGES
from zkbridge.machine.pause import Pause
from zkbridge.runtime.thread_pool import ThreadPool
from zkbridge.terminal.discovery.pinned import GivenUp, Outcome, look_for
from zkbridge.worker.places import Places

log = logging.getLogger(__name__)

#: Seconds from the end of a search for a device until the next one may begin, doubling up to the most: a terminal that
#: has just got another address may still be starting.
AGAIN_S, MOST_S = 60.0, 600.0


class TerminalSearch:
    """Searches for devices that have `find`. A search has a thread of its own: no request waits for it.

    `taken` returns the hosts at which other devices than this one answer; they are not asked. `ended` is called with
    the device's id after each search, and with how many seconds later the next one may begin; 0 after it was found.
    """

    def __init__(
        self,
        places: Places,
        *,
        lock_dir: Path | None,
        taken: Callable[[Device], Container[str]],
        ended: Callable[[str, float], object],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._lock_dir = lock_dir
        self._taken = taken
        self._ended = ended
        self._now = now
        self._pool = ThreadPool()
        self._lock = threading.Lock()
        self._wanted: dict[str, Device] = {}
        self._pauses: dict[str, Pause] = {}
        self._is_running = False
        self._stopping = threading.Event()

    def want(self, device: Device) -> None:
        """Have a device looked for whose terminal is not where it was, unless that was done a short time ago."""
        if device.find is None or self._stopping.is_set():
            return
        with self._lock:
            if not self._pause_of(device.id).is_over:
                return
            self._wanted[device.id] = device
            if self._is_running:
                return
            try:
                self._pool.start(self._run, name="search")
            except RuntimeError as error:  # no thread can be started: the next failure asks again
                if not SHORTAGES.note(error):
                    raise
                return
            self._is_running = True

    @property
    def is_busy(self) -> bool:
        """Whether a search is under way."""
        return self._is_running

    def stop(self) -> None:
        """Begin no further search; one that is under way ends within seconds, and nothing waits for it."""
        self._stopping.set()

    def _run(self) -> None:
        while (device := self._next()) is not None:
            outcome = None
            try:
                outcome = self._search(device)
            except GivenUp:
                continue  # the bridge stops
            except Exception as error:  # a fault of a search must not end the searches for other devices
                if not SHORTAGES.note(error):
                    log.exception("device=%s the search for its terminal failed", device.id)
            self._note_end(device, outcome)

    def _note_end(self, device: Device, outcome: Outcome | None) -> None:
        is_found = outcome is not None and outcome.host is not None
        with self._lock:
            self._wanted.pop(device.id, None)  # what failed meanwhile was looked for just now
            again_s = _begin_pause(self._pause_of(device.id), is_found=is_found)
        if outcome is not None and not is_found:
            _tell_missing(device, outcome, again_s)
        self._ended(device.id, again_s)

    def _pause_of(self, device: str) -> Pause:
        return self._pauses.setdefault(device, Pause(AGAIN_S, MOST_S, now=self._now))

    def _next(self) -> Device | None:
        with self._lock:
            if not self._wanted or self._stopping.is_set():
                self._is_running = False
                return None
            return next(iter(self._wanted.values()))

    def _search(self, device: Device) -> Outcome:
        """Search for the terminal, and follow it where it is found."""
        log.info("device=%s looking for serial %s in %s", device.id, device.serial, device.find)
        outcome = look_for(device, lock_dir=self._lock_dir, skip=self._taken(device), give_up=self._stopping.is_set)
        if outcome.host is None:
            return outcome
        where = self._places.of(device)
        before = where.device.host
        if outcome.host != before:
            log.warning(
                "device=%s serial %s was found at %s, not at %s; following it",
                device.id,
                device.serial,
                outcome.host,
                before,
            )
            self._places.follow(where, outcome.host)
        return outcome


def _begin_pause(pause: Pause, *, is_found: bool) -> float:
    """The seconds after which a terminal that was not found is searched for again; 0 for one that was found."""
    if not is_found:
        return pause.note_failure()
    pause.note_success()
    pause.extend(AGAIN_S)
    return 0.0


def _tell_missing(device: Device, outcome: Outcome, again_s: float) -> None:
    log.warning(
        "device=%s serial %s is not in %s: %d of %d addresses answered; again in %d s",
        device.id,
        device.serial,
        device.find,
        outcome.answered,
        outcome.asked,
        again_s,
    )
