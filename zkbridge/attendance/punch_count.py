"""The terminal's own count of its punches, and when it was last asked for it."""

from __future__ import annotations

import time

from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected
from zkbridge.port.facts import Sizes
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session

#: The longest that an answer may take while no request waits (seconds).
ANSWER_S = 15.0


class PunchCount:
    """Asks a terminal how many punches it holds. `asked_at` is on the monotonic clock."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._has_counted = False
        self.asked_at = 0.0

    def begin(self) -> None:
        """Note that a new connection begins: a terminal that counted on the last one may not count any more."""
        self._has_counted = False

    def sizes(self, session: Session) -> Sizes:
        """The terminal's count now.

        Raises TerminalError, and DeviceRejected (`log`) where it counted before on this connection and does not now: it
        was restarted and lost the session, so events are missing. Over UDP this may be the only sign of a restart.
        """
        session.extend(Deadline.after(min(self._device.timeout, ANSWER_S)))
        self.asked_at = time.monotonic()
        sizes = session.sizes()
        if sizes.records is not None:
            self._has_counted = True
        elif self._has_counted:
            detail = "it does not count its punches any more, so it is connected to again"
            raise DeviceRejected("log", host=session.device.host, port=session.device.port, detail=detail)
        return sizes

    def total(self, session: Session) -> int | None:
        """Its number of punches; None where it does not say. Raises TerminalError."""
        return self.sizes(session).records

    def moving(self, session: Session, read: int) -> int | None:
        """The terminal's number of punches; None if it gives none. Raises TerminalError.

        Also None if its log is full and all of it was `read`, a number of punches: new ones do not change the number.
        """
        sizes = self.sizes(session)
        return None if is_full(sizes) and read >= (sizes.records or 0) else sizes.records


def is_full(sizes: Sizes) -> bool:
    """Whether the log is full: then its count stays, whether it takes no more punches or drops its oldest for each."""
    if sizes.records is None or not sizes.records_capacity:
        return False
    return sizes.records >= sizes.records_capacity
