"""One simulated terminal at work: its power, its sockets, the events that it tells, the fingers it asks for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.device.journal import Journal
from zkbridge.simulator.device.person import Enrolment
from zkbridge.simulator.device.terminal import OP_POWER_ON
from zkbridge.simulator.network import delivery
from zkbridge.simulator.network.connections import Connections
from zkbridge.simulator.network.faults import Faults
from zkbridge.simulator.network.server import Address, Listener
from zkbridge.simulator.service import Service
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import Command, Event

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from zkbridge.simulator.device.terminal import Terminal
    from zkbridge.simulator.network.link import Link
    from zkbridge.simulator.network.session import Session
    from zkbridge.simulator.wire.records import Punch

_log = logging.getLogger(__name__)

#: Between the answer to RESTART or POWEROFF and the end of the connections, in seconds.
_FAREWELL = 0.05


class Machine:
    """A terminal's data on the wire. Everything here belongs to the simulator's loop.

    `handle` is what a fault gives to a function: the terminal as tests see it. `at_work` says that a request takes so
    long that people notice.
    """

    def __init__(
        self, terminal: Terminal, host: str, port: int, *, comm_key: int = 0, session_id: int | None = None
    ) -> None:
        self.terminal = terminal
        self.host = host
        self.port = port
        self.comm_key = comm_key
        self.handle: Any = None
        self.faults = Faults()
        self.journal = Journal()
        #: Held while a request is carried out. [?] No capture shows two clients at once; but there is one processor
        #: and one table, and a stream or session that has ended brings nothing more.
        self.hands = asyncio.Lock()
        self.at_work = False
        self.connections = Connections(terminal, first_session=session_id, serve=Service(self).serve, spawn=self._spawn)
        self._switches = terminal.switches
        self._listener = Listener(self._switches, on_tcp=self.connections.tcp_client, on_datagram=self._datagram)
        self._tasks: set[asyncio.Task[None]] = set()
        self._enrolment: Enrolment | None = None
        self._enrolment_task: asyncio.Task[None] | None = None
        self._next_script: str | Sequence[int] | None = None
        self._enabled = asyncio.Event()

    # Power

    @property
    def powered(self) -> bool:
        """Whether it runs."""
        return self.connections.powered

    async def power_on(self) -> None:
        """Listen; what a restart makes visible is visible. Raises OSError when the port is taken."""
        if self.powered:
            return
        self.terminal.commit_waiting()
        self.terminal.log_operation(OP_POWER_ON)
        await self._listen()
        self.connections.powered = True
        self.terminal.on_change("power on")

    async def power_off(self, how: str = "reset") -> None:
        """No power: connections are `reset`, closed (`close`) or left dead without a word (`silent`)."""
        self.connections.powered = False
        await self._listener.close()
        self._stop_enrolment()
        self.connections.lose_power(how)
        self.hands, self.at_work = asyncio.Lock(), False
        self.terminal.enable()
        self.terminal.lcd.clear()
        self.terminal.on_change("power off")

    async def move(self, host: str, port: int) -> None:
        """Another address, as DHCP gives one; connections to the old one are dead."""
        await self.power_off("silent")
        self._listener.release()
        self.host, self.port = host, port
        await self.power_on()

    async def listen_again(self) -> None:
        """Follow a change of the transport."""
        if self.powered:
            await self._listener.close()
            await self._listen()

    async def shut_down(self) -> None:
        """End everything, for good."""
        await self.power_off()
        self._listener.release()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def restart_soon(self) -> None:
        """Power off and on in a moment."""
        self._spawn(self._restart())

    def power_off_soon(self) -> None:
        """Power off in a moment."""
        self._spawn(self._farewell("close"))

    async def _restart(self) -> None:
        await self._farewell("silent" if self._switches.silent_restart else "close")
        await asyncio.sleep(self._switches.restart_seconds)
        await self.power_on()

    async def _farewell(self, how: str) -> None:
        await asyncio.sleep(_FAREWELL)
        await self.power_off(how)

    async def _listen(self) -> None:
        self.port = await self._listener.open(self.host, self.port, self._switches.transport)

    def _datagram(self, data: bytes, address: Address) -> None:
        self.connections.datagram(data, address, self._listener.send_datagram)

    # Sessions, as commands ask for them

    def open_session(self, link: Link) -> Session | None:
        """The session of a link; None when there is no place for one more."""
        authorised = self.comm_key == 0 and not self._switches.auth_always
        return self.connections.open_session(link, authorised=authorised)

    def close_session(self, link: Link) -> None:
        """End the session of a link."""
        self.connections.end_session(link)

    # Events

    async def send_event(self, link: Link, event: Event, data: bytes = b"") -> None:
        """One event, its code in the session field and no reply id."""
        frame = wire.Frame(Command.REG_EVENT, event, 0, data)
        packet = frame.packet()
        whole = packet if link.udp else wire.with_top(packet)
        self.journal.note("out", frame, link.number)
        await link.send(delivery.event_pieces(whole, self._switches, udp=link.udp))

    async def send_acknowledged(self, link: Link, event: Event, data: bytes) -> None:
        """One event, and the client's ACK before the next: pyzk never splits two that arrive together."""
        link.acknowledged.clear()
        await self.send_event(link, event, data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._switches.ack_wait):
                await link.acknowledged.wait()

    def announce(self, punch: Punch) -> None:
        """Tell every session that registered for it of a punch."""
        self._tell_all(Event.VERIFY, punch.uid.to_bytes(4, "little") + b"\x01")
        self._tell_all(Event.ATTLOG, records.attendance_event(punch, self._switches.event))

    def announce_alarm(self, data: bytes) -> None:
        """Tell every session that registered for it of an alarm."""
        self._tell_all(Event.ALARM, data)

    def _tell_all(self, event: Event, data: bytes) -> None:
        for link in self.connections.links:
            if link.session is not None and link.session.mask & event:
                self._spawn(self.send_event(link, event, data))

    # Fingers

    def start_enrolment(self, link: Link, uid: int, finger: int, flag: int) -> None:
        """Ask the person for a finger."""
        self.terminal.enrolling = True
        self._enrolment = Enrolment(self, partial(self.send_acknowledged, link), uid, finger, flag)
        script = self._next_script or self._switches.enrolment
        self._next_script = None
        if script != "wait":
            self._enrolment.act(script)
        self._enrolment_task = self._spawn(self._enrol(self._enrolment))

    def enrol(self, script: str | Sequence[int]) -> None:
        """The person does this now, or at the next enrolment when none waits."""
        if self._enrolment is None:
            self._next_script = script
        else:
            self._enrolment.act(script)

    def cancel_enrolment(self) -> None:
        """Stop asking; a switch says whether the client is told."""
        enrolment = self._stop_enrolment()
        if enrolment is not None and self._switches.enrol_cancel == "event":
            self._spawn(enrolment.tell_cancelled())

    async def until_enabled(self) -> None:
        """Wait while people are kept off."""
        while self.terminal.disabled:
            self._enabled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._enabled.wait()

    def notice_enabled(self) -> None:
        """Wake what waits for the terminal to be enabled."""
        if not self.terminal.disabled:
            self._enabled.set()

    async def _enrol(self, enrolment: Enrolment) -> None:
        try:
            await enrolment.run()
        finally:
            if self._enrolment is enrolment:
                self._enrolment = None
                self.terminal.enrolling = False

    def _stop_enrolment(self) -> Enrolment | None:
        enrolment, self._enrolment = self._enrolment, None
        if enrolment is not None and self._enrolment_task is not None:
            self.terminal.enrolling = False
            self._enrolment_task.cancel()
        return enrolment

    # Work beside the rest

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("the simulator has a fault", exc_info=task.exception())
