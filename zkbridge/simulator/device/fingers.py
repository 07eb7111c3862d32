"""The templates of a terminal, by uid and finger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire.tables import template_change

if TYPE_CHECKING:
    from zkbridge.simulator.device.memory import Memory
    from zkbridge.simulator.device.switches import Switches
    from zkbridge.simulator.wire.records import Template


class Fingers:
    """Stores, finds and removes templates under the terminal's rules."""

    def __init__(self, memory: Memory, switches: Switches) -> None:
        self._memory = memory
        self._switches = switches

    @property
    def stored(self) -> dict[tuple[int, int], Template]:
        """The templates by uid and finger; to be changed by the methods below only."""
        return self._memory.tables.templates

    def write(self, uid: int, finger: int, template: Template) -> None:
        """Store a finger of a user. Raises Refused: no such user or finger, no room."""
        with self._memory.lock:
            if uid not in self._memory.tables.users:
                raise Refused("no such user")
            if not 0 <= finger <= 9:
                raise Refused(f"finger {finger} is not 0 to 9")
            full = len(self.stored) >= self._switches.finger_capacity
            if full and (uid, finger) not in self.stored:
                raise Refused("no room for one more template")
            self._memory.change(template_change(uid, finger, template))

    def delete(self, uid: int, finger: int | None) -> None:
        """Remove one finger of a user, or all. Raises Refused when there is none."""
        with self._memory.lock:
            keys = [key for key in self.stored if key[0] == uid and finger in (None, key[1])]
            if not keys:
                raise Refused("no such template")
            self._memory.change(*(template_change(*key, None) for key in keys))
