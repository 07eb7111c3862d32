"""One simulated terminal as tests, the control interface and the screen hold it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zkbridge.simulator.device import store
from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.handle.front import Front
from zkbridge.simulator.handle.people import People

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from zkbridge.simulator.device.switches import Switches
    from zkbridge.simulator.machine.machine import Machine
    from zkbridge.simulator.network.faults import Faults

_Result = TypeVar("_Result")


class SimulatedTerminal(People, Front):
    """A terminal that runs. Methods may be called from any thread; those that change its power wait for it."""

    def __init__(self, machine: Machine, loop: asyncio.AbstractEventLoop) -> None:
        self.machine = machine
        self._loop = loop
        self._listeners: list[Callable[[str], None]] = []
        self._loop_thread = threading.get_ident()
        self.switches.watch(self._switch_set)
        machine.terminal.notices.listener = self._changed

    # Where and how

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self.machine.host

    @property
    def port(self) -> int:
        """The port of TCP and UDP."""
        return self.machine.port

    @property
    def profile(self) -> str:
        """The name of its profile."""
        return self.machine.terminal.profile.name

    @property
    def switches(self) -> Switches:
        """Its behaviours, by name."""
        return self.machine.terminal.switches

    @property
    def faults(self) -> Faults:
        """What goes wrong next."""
        return self.machine.faults

    @property
    def latency(self) -> float:
        """Seconds before every answer."""
        return self.switches.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.switches.latency = seconds

    @property
    def comm_key(self) -> int:
        """The communication key; changing it leaves open sessions alone."""
        return self.machine.comm_key

    @comm_key.setter
    def comm_key(self, key: int) -> None:
        self.machine.comm_key = key

    # Power and place

    @property
    def powered(self) -> bool:
        """Whether it runs."""
        return self.machine.powered

    def power_off(self, how: str = "reset") -> None:
        """Pull the plug: connections are `reset`, `close`d, or left `silent`ly dead; the tables stay."""
        if how not in ("reset", "close", "silent"):
            raise ValueError(f"how: {how!r} is not reset, close or silent")
        self._do(self.machine.power_off(how))

    def power_on(self) -> None:
        """Give it power again, on the same port."""
        self._do(self.machine.power_on())

    def restart(self) -> None:
        """Off and on; connections are reset, or left dead if the switch `silent_restart` says so."""
        self.power_off("silent" if self.switches.silent_restart else "reset")
        self.power_on()

    def move(self, port: int = 0, host: str | None = None) -> None:
        """Give it another address, as DHCP does; clients of the old one receive nothing more."""
        self._do(self.machine.move(host or self.host, port))

    # Tables in a file

    def snapshot(self, path: str | Path) -> None:
        """Write the tables to a file."""
        store.write_state(Path(path), self.machine.terminal.memory.changes())

    def restore(self, path: str | Path) -> None:
        """Make the tables what a file says; nothing changes when it cannot be read.

        Raises OSError, or ValueError when it is of another kind of terminal.
        """
        self.machine.terminal.memory.load(store.read_changes(Path(path)))

    # News

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call a function with a line of text for whatever changes, in whatever thread that happens."""
        self._listeners.append(listener)

    def _changed(self, text: str) -> None:
        if text == "enabled":
            self._loop.call_soon_threadsafe(self.machine.enrolments.notice_enabled)
        for listener in self._listeners:
            listener(text)

    def _switch_set(self, name: str) -> None:
        if name == "transport":
            self._do(self.machine.listen_again())

    def _do(self, work: Coroutine[Any, Any, _Result]) -> _Result | None:
        """Have work done in the loop; wait for it unless this is the loop, as in a fault's function."""
        if threading.get_ident() == self._loop_thread:
            self._loop.create_task(work)
            return None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


__all__ = ["Refused", "SimulatedTerminal"]
