"""What can be seen of a simulated terminal: its front, its options, and who talks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from datetime import datetime

    from zkbridge.simulator.device.journal import Exchange
    from zkbridge.simulator.machine.machine import Machine


class Front:
    """The part of a terminal's handle that looks at it."""

    machine: Machine

    # What it shows

    @property
    def disabled(self) -> bool:
        """Whether people are kept off."""
        return self.machine.terminal.disabled

    def disabled_spans(self) -> list[float]:
        """Seconds of every time it was disabled; one that lasts counts until now."""
        return self.machine.terminal.disabled_time.spans()

    @property
    def display(self) -> str:
        """What stands on the display."""
        return self.machine.terminal.display if self.machine.powered else "(off)"

    @property
    def door_open(self) -> bool:
        """Whether the door is open just now."""
        return self.machine.terminal.front.door_open

    @property
    def time(self) -> datetime:
        """What its clock shows."""
        return self.machine.terminal.clock.now()

    def option(self, name: str) -> str | None:
        """One of its options, None when it does not know it."""
        return self.machine.terminal.option(name)

    def set_option(self, name: str, value: str | None) -> None:
        """Write an option, or make the terminal refuse it with None."""
        self.machine.terminal.set_option(name, value)

    # Connections

    @property
    def sessions_open(self) -> int:
        """Sessions begun by CONNECT and not ended."""
        return self.machine.connections.sessions_open

    @property
    def connections_accepted(self) -> int:
        """TCP connections so far, and UDP clients."""
        return self.machine.connections.accepted

    @property
    def round_trips(self) -> int:
        """How often a client has asked so far; requests that came together count as one."""
        return self.machine.connections.round_trips

    @property
    def log(self) -> list[Exchange]:
        """The last frames in and out."""
        return list(self.machine.journal.frames)

    @property
    def counts(self) -> Counter[int]:
        """Requests so far, by command number."""
        return self.machine.journal.counts
