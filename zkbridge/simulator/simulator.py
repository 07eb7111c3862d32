"""Simulated terminals in this process, on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import resource
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from zkbridge.simulator.device import profile as profiles
from zkbridge.simulator.device.store import Store
from zkbridge.simulator.device.switches import Switches
from zkbridge.simulator.device.terminal import Terminal
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.simulator.machine.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from types import TracebackType

_Result = TypeVar("_Result")

#: How often idle connections and timed disables are looked at, in seconds.
_TICK = 0.25
_FILES_FOR_ONE = 8


@dataclass(frozen=True, init=False)
class TerminalConfig:
    """One terminal: a profile, an address, and the switches that differ from the profile's.

    `port` 0 lets the system choose; `session_id` fixes the first session's id; `state_file` keeps the tables.
    Raises ValueError when the profile or a switch is not known.
    """

    profile: str
    host: str
    port: int
    comm_key: int
    session_id: int | None
    serial: str | None
    state_file: Path | None
    switches: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        profile: str = "tft",
        host: str = "127.0.0.1",
        port: int = 0,
        comm_key: int = 0,
        *,
        session_id: int | None = None,
        serial: str | None = None,
        state_file: str | Path | None = None,
        switches: Mapping[str, Any] | None = None,
        **more_switches: Any,
    ) -> None:
        wanted = {**(switches or {}), **more_switches}
        Switches(**profiles.load(profile).switches).update(wanted)
        values = {
            "profile": profile,
            "host": host,
            "port": port,
            "comm_key": comm_key,
            "session_id": session_id,
            "serial": serial,
            "state_file": None if state_file is None else Path(state_file),
            "switches": wanted,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


class Simulator:
    """Any number of terminals; a context manager that stops them all.

    Methods may be called from any thread but the simulator's own.
    """

    def __init__(self) -> None:
        self.terminals: list[SimulatedTerminal] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._stopped = False
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add(self, config: TerminalConfig | None = None) -> SimulatedTerminal:
        """Start a terminal and return it once it listens. Raises OSError when the port is taken."""
        config = config or TerminalConfig()
        profile = profiles.load(config.profile)
        switches = Switches(**profile.switches)
        switches.update(dict(config.switches))
        store = None if config.state_file is None else Store(config.state_file)
        terminal = Terminal(profile, switches, serial=config.serial, store=store)
        allow_files(len(self.terminals) + 1)
        handle = self._call(self._start(config, terminal))
        self.terminals.append(handle)
        return handle

    def stop(self) -> None:
        """End all terminals, their connections and the thread; may be called twice."""
        if self._stopped:
            return
        self._stopped = True
        for handle in self.terminals:
            self._call(handle.machine.shut_down())
            handle.machine.terminal.memory.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_later(_TICK, self._tick)
        self._loop.run_forever()

    def _tick(self) -> None:
        for handle in list(self.terminals):
            handle.machine.connections.drop_idle()
            handle.machine.enrolments.notice_enabled()
        self._loop.call_later(_TICK, self._tick)

    async def _start(self, config: TerminalConfig, terminal: Terminal) -> SimulatedTerminal:
        machine = Machine(terminal, config.host, config.port, comm_key=config.comm_key, session_id=config.session_id)
        handle = SimulatedTerminal(machine, self._loop)
        machine.handle = handle
        await machine.power_on()
        if terminal.profile.recorded.changes and config.state_file is None:
            terminal.memory.load(terminal.profile.recorded.changes)
        return handle

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def allow_files(terminals: int) -> None:
    """Let the process open the sockets of so many terminals, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 512 + _FILES_FOR_ONE * terminals
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
