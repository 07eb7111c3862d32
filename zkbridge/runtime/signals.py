"""SIGTERM, Ctrl-C and their like, without the locks that a signal handler must not touch."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Mapping


def when_asked_to_stop(act: Callable[[], object]) -> None:
    """Call `act`, in a thread of its own, when SIGTERM or SIGINT comes. From the main thread, once."""
    when_signalled({signal.SIGTERM: act, signal.SIGINT: act})


def when_signalled(acts: Mapping[signal.Signals, Callable[[], object]]) -> None:
    """Call what belongs to a signal, in a thread of its own, when it comes. From the main thread, once.

    A handler written in Python runs only when the main thread comes back to Python: one that is just about to wait
    for a lock never does, and one that does would set the very Event that it was interrupted in waiting for. What is
    written to a socket at the moment of the signal, in whatever thread, wakes the thread that reads it.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)

    def listen() -> None:
        with heard, told:
            while True:
                for number in heard.recv(64):
                    if act := acts.get(signal.Signals(number)):
                        act()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    for number in acts:
        signal.signal(number, lambda _number, _frame: None)
