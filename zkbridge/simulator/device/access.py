"""When groups and users may enter, and which groups must come together: what commands 23 to 30 read and write.

Source: adrobinoga/zk-protocol, access.md. What is stored decides nothing at the door here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from zkbridge.simulator.device.rules import Refused

if TYPE_CHECKING:
    from zkbridge.simulator.device.memory import Memory
    from zkbridge.simulator.device.switches import Switches

#: How many there are of each kind, numbered from 1: the manual of 2006 (50 time zones, 10 combinations), access.md
#: (100 groups).
_MOST = {"zone": 50, "group": 100, "combination": 10}
#: What an unused terminal holds: the whole day, a group that has it, a combination of that group alone.
_FIRST = {
    "zone": bytes((0, 0, 23, 59)) * 7,
    "group": struct.pack("<HHHB", 1, 0, 0, 0),
    "combination": bytes((1, 0, 0, 0, 0)) + b"\1\0",
}


class Access:
    """Time zones (28 bytes each: four a day from Sunday), groups (7 bytes) and unlock combinations (7 bytes)."""

    def __init__(self, memory: Memory, switches: Switches) -> None:
        self._memory = memory
        self._switches = switches

    def read(self, kind: str, number: int) -> bytes:
        """What is stored under a number. Raises Refused: no such number, or nothing was ever set."""
        self._check(kind, number)
        stored = self._memory.tables.access.get((kind, number))
        if stored is None and number == 1:
            return _FIRST[kind]
        if stored is None:
            raise Refused(f"{kind} {number} was never set", self._switches.unset_slot_code)
        return stored

    def write(self, kind: str, number: int, data: bytes) -> None:
        """Store under a number. Raises Refused: no such number, another length."""
        self._check(kind, number)
        if len(data) != len(_FIRST[kind]):
            raise Refused(f"{len(data)} bytes for a {kind}")
        with self._memory.lock:
            self._memory.change(["access", kind, number, data.hex()])

    @staticmethod
    def _check(kind: str, number: int) -> None:
        if not 1 <= number <= _MOST[kind]:
            raise Refused(f"{kind} {number} is not 1 to {_MOST[kind]}")
