"""How many file descriptors and threads this machine allows the bridge, and what to do when there are no more."""

from __future__ import annotations

import errno
import logging
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

#: Descriptors that one device may hold at a time: its lock file, its connection, the waker of its thread, and one that
#: is open only for a moment (pyzk's own socket, or the file that shows who else waits).
FOR_A_DEVICE = 4
#: Descriptors for everything else: libraries, log, ledger, broker, signals, readers of the metrics.
FOR_THE_REST = 64
#: Descriptors that devices with `attendance: live` leave free for requests, the broker and the ledger.
RESERVE = 24
#: Seconds for which a shortage is reported after it was last noticed, and after which it is logged anew.
REPORTED_S = 300.0

#: The process, or the whole machine, has no more descriptors.
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
#: What Python says where pthread_create(3) fails.
_NO_THREAD = "can't start new thread"

#: Has an entry for each descriptor of this process.
_OPEN = Path("/proc/self/fd")

DESCRIPTORS, THREADS = "descriptors", "threads"
_ADVICE = {
    DESCRIPTORS: "no more file descriptors: what cannot be opened is tried again; raise the limit (LimitNOFILE)",
    THREADS: "no more threads: what cannot be begun is tried again; raise the limit (TasksMax)",
}


def descriptors_for(devices: int) -> int:
    """How many descriptors a bridge with so many devices may hold at the same time."""
    return FOR_THE_REST + FOR_A_DEVICE * devices


def raise_limit(devices: int) -> None:
    """Raise the soft limit of descriptors as far as so many devices need, and as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors_for(devices)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # a sandbox may forbid it
        log.warning("the limit of file descriptors stays at %d: %s", soft, error)


def lacking(devices: int, *, hard: int | None = None) -> str | None:
    """A sentence if the hard limit of descriptors is too low for so many devices; None if all of them fit."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if hard is None else hard
    needed = descriptors_for(devices)
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        return None
    return (
        f"{devices} devices may need {needed} file descriptors, and the limit is {allowed}: "
        f"raise it to {needed} (LimitNOFILE in the unit, or ulimit -Hn)"
    )


def require_room() -> None:
    """Raise OSError (EMFILE) unless more than RESERVE descriptors are free."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft != resource.RLIM_INFINITY and len(list(_OPEN.iterdir())) > soft - RESERVE:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def kind_of(error: BaseException | None) -> str | None:
    """The resource whose shortage caused an error; None if it has another cause."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_DESCRIPTORS:
            return DESCRIPTORS
        if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
            return THREADS
        error = error.__cause__
    return None


class Shortages:
    """What the bridge has lately run out of, logged once for each shortage. May be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._noticed: dict[str, float] = {}

    def note(self, error: BaseException) -> bool:
        """Whether the error comes from a shortage; the first of each kind is logged."""
        kind = kind_of(error)
        if kind is None:
            return False
        now = self._clock()
        with self._lock:
            before = self._noticed.get(kind)
            self._noticed[kind] = now
        if before is None or now - before > REPORTED_S:
            log.error("%s", _ADVICE[kind])
        return True

    def current(self) -> tuple[str, ...]:
        """The resources that were short within the last REPORTED_S seconds: `descriptors`, `threads`."""
        now = self._clock()
        with self._lock:
            return tuple(sorted(kind for kind, at in self._noticed.items() if now - at <= REPORTED_S))


#: This process's.
SHORTAGES = Shortages()
