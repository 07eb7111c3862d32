"""Looks for terminals whose address has changed, one at a time, beside the conversations of the workers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container
from pathlib import Path

from zkbridge.config.models import Device
from zkbridge.machine.limits import SHORTAGES
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
        self._not_before: dict[str, float] = {}
        self._missed: dict[str, int] = {}
        self._is_running = False
        self._stopping = threading.Event()

    def want(self, device: Device) -> None:
        """Have a device looked for whose terminal is not where it was, unless that was done a short time ago."""
        if device.find is None or self._stopping.is_set():
            return
        with self._lock:
            if self._now() < self._not_before.get(device.id, 0.0):
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
            is_found = False
            try:
                is_found = self._search(device)
            except GivenUp:
                continue  # the bridge stops
            except Exception as error:  # a fault of a search must not end the searches for other devices
                if not SHORTAGES.note(error):
                    log.exception("device=%s the search for its terminal failed", device.id)
            self._note_end(device.id, is_found=is_found)

    def _note_end(self, device: str, *, is_found: bool) -> None:
        with self._lock:
            self._wanted.pop(device, None)  # what failed meanwhile was looked for just now
            missed = self._missed[device] = 0 if is_found else self._missed.get(device, 0) + 1
            pause = _pause_after(missed)
            self._not_before[device] = self._now() + pause
        self._ended(device, 0.0 if is_found else pause)

    def _next(self) -> Device | None:
        with self._lock:
            if not self._wanted or self._stopping.is_set():
                self._is_running = False
                return None
            return next(iter(self._wanted.values()))

    def _search(self, device: Device) -> bool:
        """Whether it was found; then it is followed."""
        log.info("device=%s looking for serial %s in %s", device.id, device.serial, device.find)
        outcome = look_for(device, lock_dir=self._lock_dir, skip=self._taken(device), give_up=self._stopping.is_set)
        if outcome.host is None:
            self._tell_missing(device, outcome)
            return False
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
        return True

    def _tell_missing(self, device: Device, outcome: Outcome) -> None:
        log.warning(
            "device=%s serial %s is not in %s: %d of %d addresses answered; again in %d s",
            device.id,
            device.serial,
            device.find,
            outcome.answered,
            outcome.asked,
            _pause_after(self._missed.get(device.id, 0) + 1),
        )


def _pause_after(missed: int) -> float:
    """Seconds until the next search, after so many in a row that did not find the device; the least after success."""
    return min(AGAIN_S * (1 << min(max(missed - 1, 0), 10)), MOST_S)
