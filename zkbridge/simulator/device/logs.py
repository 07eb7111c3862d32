"""The two logs of a terminal: punches, and operations of clients and administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire.codes import VOICES
from zkbridge.simulator.wire.tables import punch_change

if TYPE_CHECKING:
    from collections import deque

    from zkbridge.simulator.device.clock import Clock
    from zkbridge.simulator.device.memory import Memory
    from zkbridge.simulator.device.switches import Switches
    from zkbridge.simulator.wire.records import Punch

#: Operation numbers of the log. 6 is in a capture (zk-protocol data-record.md); the others are [?], as the SDK's
#: manuals list them.
OP_POWER_ON, OP_ENROLLED, OP_USER_DELETED, OP_CLEARED, OP_TIME_SET, OP_USER_WRITTEN = 0, 6, 9, 13, 22, 30


class Logs:
    """Attendance and operations, oldest first."""

    def __init__(self, memory: Memory, switches: Switches, clock: Clock) -> None:
        self._memory = memory
        self._switches = switches
        self._clock = clock

    @property
    def attendance(self) -> deque[Punch]:
        """The attendance log; to be changed by the methods below only."""
        return self._memory.tables.attendance

    @property
    def operations(self) -> deque[bytes]:
        """The operation log as its 16-byte records."""
        return self._memory.tables.operations

    def add_punch(self, punch: Punch) -> None:
        """Add a line to the attendance log. Raises Refused when it is full and keeps what it has."""
        with self._memory.lock:
            if len(self.attendance) >= self._switches.record_capacity:
                if self._switches.log_full == "refuse":
                    raise Refused(VOICES[7])
                self._memory.change(["forget punch"])
            self._memory.change(punch_change(punch))

    def add_operation(self, operation: int, number: int = 0) -> None:
        """Add 16 bytes to the operation log: zero, operation, zero, time, four parameters."""
        moment = wire.encode_time(self._clock.now()).to_bytes(4, "little")
        line = bytes((0, 0, operation, 0)) + moment + number.to_bytes(2, "little") + bytes(6)
        with self._memory.lock:
            self._memory.change(["operation", line.hex()])
