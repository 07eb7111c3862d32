"""Wait for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.005
#: What is waited for comes late on a busy machine: no wait that is to succeed ends before (seconds).
PATIENCE_S = 60.0


def patience(seconds: float) -> float:
    """How long a wait may take that was given *seconds*.

    Less than a second is for a test that waits in vain on purpose: that stays.
    """
    return seconds if seconds < 1 else max(seconds, PATIENCE_S)


def wait_until(condition: Callable[[], T], *, timeout: float = 10, what: str = "the condition") -> T:
    """Return the first true value of *condition*; raise AssertionError after *timeout* seconds; see `patience`."""
    timeout = patience(timeout)
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(POLL_S)
