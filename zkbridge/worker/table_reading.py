"""Reads a terminal's table of users so that it counts: while it cannot be changed at the keypad."""

from __future__ import annotations

import time

from zkbridge.contract.errors import DeviceTimeout
from zkbridge.terminal.session import Session

#: How often a table is read again that people may have changed meanwhile.
TABLE_READINGS = 3


def read_table(session: Session, *, session_budget: float) -> None:
    """Read the table before the first request, so that a table that cannot be read is the refusal of all.

    The table counts only while it cannot be changed at the keypad. If reading it took so long that the terminal
    was about to enable itself, it is kept disabled; if that came too late, the table is read again, disabled for
    as much longer. The same count proves nothing: one user may have been added, and another deleted.
    Raises TerminalError.
    """
    needed = session_budget + session.device.timeout / 2
    for reading in range(TABLE_READINGS):
        began = time.monotonic()
        if reading:
            session.users(again=True)
        else:
            session.read_ahead()
        if session.keep_disabled(needed, longer=2 * (time.monotonic() - began)):
            return
    raise DeviceTimeout(host=session.device.host, port=session.device.port)
