"""The log of punches of a simulated terminal."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta

#: A record of 40 bytes: uid, user id, how it was verified, time, kind.
PUNCH = struct.Struct("<H24sBIB8x")
#: An event: user id, how it was verified, kind, time.
EVENT = struct.Struct("<24sBB6s")
_EPOCH = datetime(2030, 1, 31, 8, 0, 0)  # noqa: DTZ001 - a terminal's wall clock has no zone


class PunchLog:
    """The punches that the terminal holds, each a second after the one before."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.punched = 0  #: how many there ever were

    def add(self) -> bytes:
        """Somebody punches; the event of it."""
        when = _EPOCH + timedelta(seconds=self.punched)
        self.punched += 1
        number = (((when.year - 2000) * 12 + when.month - 1) * 31 + when.day - 1) * 86400
        number += (when.hour * 60 + when.minute) * 60 + when.second
        self.records.append(PUNCH.pack(1, b"7", 1, number, 0))
        moment = bytes([when.year - 2000, when.month, when.day, when.hour, when.minute, when.second])
        return EVENT.pack(b"7", 1, 0, moment)
