"""The terminal's own count of its punches, and when it was asked last."""

from __future__ import annotations

import time

from zkbridge.config.models import Device
from zkbridge.port.facts import Sizes
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session

#: The most that an answer may take while no request waits for it (seconds).
ANSWER_S = 15.0


class PunchCount:
    """Asks a terminal how many punches it holds. `asked_at` is on the monotonic clock."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.asked_at = 0.0

    def sizes(self, session: Session) -> Sizes:
        """What the terminal counts now. Raises TerminalError."""
        session.extend(Deadline.after(min(self._device.timeout, ANSWER_S)))
        self.asked_at = time.monotonic()
        return session.sizes()

    def total(self, session: Session) -> int | None:
        """Its punches; None where it does not say. Raises TerminalError."""
        return self.sizes(session).records

    def moving(self, session: Session) -> int | None:
        """Its punches; None also for a log that is full, whose count stands still. Raises TerminalError."""
        sizes = self.sizes(session)
        return None if is_full(sizes) else sizes.records


def is_full(sizes: Sizes) -> bool:
    """Whether the log takes no more, or loses its oldest for every new one: its count stands still."""
    if sizes.records is None or not sizes.records_capacity:
        return False
    return sizes.records >= sizes.records_capacity
