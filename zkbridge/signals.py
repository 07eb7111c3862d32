"""SIGTERM and Ctrl-C, without the locks that a signal handler must not touch."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue


def when_asked_to_stop(act: Callable[[], None]) -> None:
    """Call `act` once, in a thread of its own, when SIGTERM or SIGINT comes.

    A handler runs in the middle of whatever the main thread does: setting the very Event that is being waited for
    could wait for ever for the Event's own lock. A SimpleQueue takes what a handler puts into it at any moment.
    """
    asks: SimpleQueue[int] = SimpleQueue()

    def wait() -> None:
        asks.get()
        act()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: asks.put(number))
