"""Cuts a plan that breaks a promise down to the events that it takes, by delta debugging."""

from __future__ import annotations

import time
from collections.abc import Callable

from torture.simulated.plan import Event, without


def minimise(events: list[Event], fails: Callable[[list[Event]], bool], *, seconds: float = 120.0) -> list[Event]:
    """The events without those that it does not take; `fails` runs a plan and says whether the promise is broken."""
    end = time.monotonic() + seconds
    size = max(1, len(events) // 2)
    while True:
        start, cut = 0, False
        while start < len(events):
            if time.monotonic() > end:
                return events
            shorter = without(events, start, size)
            if fails(shorter):
                events, cut = shorter, True
            else:
                start += size
        if size == 1 and not cut:
            return events
        size = max(1, size // 2)
