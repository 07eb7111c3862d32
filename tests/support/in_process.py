"""A bridge in the process of the test, which can change its clock and look at its parts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from zkbridge.bridge.bridge import Bridge
from zkbridge.config.models import Config
from zkbridge.machine.clock import SYSTEM, Clock


@dataclass
class FalseClock:
    """The real time, with what the test adds: `wall` to the clock alone, `passed` also to the time since the start."""

    wall: float = 0.0
    passed: float = 0.0
    synchronised: bool = True

    def clock(self) -> Clock:
        """The clock that a bridge is given."""
        return Clock(
            wall=lambda: time.time() + self.wall + self.passed,
            since_start=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + self.passed,
            synchronised=lambda: self.synchronised,
        )


@contextmanager
def bridge_here(settings: dict[str, Any], clock: Clock = SYSTEM) -> Iterator[Bridge]:
    """Start a bridge and wait until it is connected to the broker; stop it at the end."""
    bridge = Bridge(Config.model_validate(settings), clock=clock)
    try:
        bridge.start()
        assert bridge.online.wait(30)
        yield bridge
    finally:
        bridge.stop()
