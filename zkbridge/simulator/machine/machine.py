"""One simulated terminal at work: its power, its address, its sessions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.device.journal import Journal
from zkbridge.simulator.device.logs import OP_POWER_ON
from zkbridge.simulator.machine.enrolments import Enrolments
from zkbridge.simulator.machine.events import Events
from zkbridge.simulator.machine.processor import Processor
from zkbridge.simulator.machine.service import Service
from zkbridge.simulator.machine.tasks import Tasks
from zkbridge.simulator.network.connections import Connections
from zkbridge.simulator.network.faults import Faults
from zkbridge.simulator.network.server import Address, Listener

if TYPE_CHECKING:
    from zkbridge.simulator.device.terminal import Terminal
    from zkbridge.simulator.network.link import Link
    from zkbridge.simulator.network.session import Session

#: Between the answer to RESTART or POWEROFF and the end of the connections, in seconds.
_DELAY_S = 0.05


class Machine:
    """A terminal's data on the wire. Everything here belongs to the simulator's loop.

    `handle` is what a fault gives to a function: the terminal as tests see it.
    """

    def __init__(
        self, terminal: Terminal, host: str, port: int, *, comm_key: int = 0, session_id: int | None = None
    ) -> None:
        self.terminal = terminal
        self._address = host, port
        self.comm_key = comm_key
        self.handle: Any = None
        self.faults = Faults()
        self.journal = Journal()
        self.processor = Processor()
        self.tasks = Tasks()
        self.connections = Connections(
            terminal, first_session=session_id, serve=Service(self).serve, spawn=self.tasks.start
        )
        self.events = Events(terminal.switches, self.connections, self.journal, self.tasks)
        self.enrolments = Enrolments(terminal, self.events, self.tasks)
        self._listener = Listener(terminal.switches, on_tcp=self.connections.tcp_client, on_datagram=self._datagram)

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._address[0]

    @property
    def port(self) -> int:
        """The port of TCP and UDP; 0 until the system has chosen one."""
        return self._address[1]

    # Power

    @property
    def powered(self) -> bool:
        """Whether it runs."""
        return self.connections.powered

    async def power_on(self) -> None:
        """Listen; what a restart makes visible is visible. Raises OSError when the port is taken."""
        if self.powered:
            return
        self.terminal.users.commit_waiting()
        self.terminal.logs.add_operation(OP_POWER_ON)
        self.connections.powered = True  # before anything is waited for: another restart must not listen too
        try:
            await self._listen()
        except OSError:
            self.connections.powered = False
            raise
        self.terminal.notices.add("power on")

    async def power_off(self, how: str = "reset") -> None:
        """No power: connections are `reset`, closed (`close`) or left dead without FIN and RST (`silent`)."""
        self.connections.powered = False
        await self._listener.close()
        self.enrolments.stop()
        self.connections.lose_power(how)
        self.processor.restart()
        self.terminal.enable()
        self.terminal.front.lcd.clear()
        self.terminal.notices.add("power off")

    async def move(self, host: str, port: int) -> None:
        """Another address, as DHCP gives one; connections to the old one are dead."""
        await self.power_off("silent")
        self._listener.release()
        self._address = host, port
        await self.power_on()

    async def listen_again(self) -> None:
        """Follow a change of the transport."""
        if self.powered:
            await self._listener.close()
            await self._listen()

    async def shut_down(self) -> None:
        """End everything, for good."""
        await self.power_off()
        await self.tasks.end()
        await self._listener.close()  # a restart may have begun to listen again meanwhile
        self._listener.release()

    def restart_soon(self) -> None:
        """Power off and on in a moment."""
        self.tasks.start(self._restart())

    def power_off_soon(self) -> None:
        """Power off in a moment."""
        self.tasks.start(self._power_off_after_delay("close"))

    async def _restart(self) -> None:
        await self._power_off_after_delay("silent" if self.terminal.switches.silent_restart else "close")
        await asyncio.sleep(self.terminal.switches.restart_seconds)
        await self.power_on()

    async def _power_off_after_delay(self, how: str) -> None:
        await asyncio.sleep(_DELAY_S)
        await self.power_off(how)

    async def _listen(self) -> None:
        port = await self._listener.open(self.host, self.port, self.terminal.switches.transport)
        self._address = self.host, port

    def _datagram(self, data: bytes, address: Address) -> None:
        self.connections.datagram(data, address, self._listener.send_datagram)

    # Sessions, as commands ask for them

    def open_session(self, link: Link) -> Session | None:
        """The session of a link; None when there is no place for one more."""
        authorised = self.comm_key == 0 and not self.terminal.switches.auth_always
        return self.connections.open_session(link, authorised=authorised)

    def close_session(self, link: Link) -> None:
        """End the session of a link."""
        self.connections.end_session(link)
