"""The events that a terminal sends to its clients unasked."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from zkbridge.simulator.device.person import BY_FINGER
from zkbridge.simulator.network import delivery
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import Command, Event

if TYPE_CHECKING:
    from zkbridge.simulator.device.journal import Journal
    from zkbridge.simulator.device.person import Attempt
    from zkbridge.simulator.device.switches import Switches
    from zkbridge.simulator.machine.tasks import Tasks
    from zkbridge.simulator.network.connections import Connections
    from zkbridge.simulator.network.link import Link


#: Stands for a user whom the terminal does not know.
_UNKNOWN_UID = 0xFFFFFFFF


class Events:
    """Sends events. Everything here belongs to the simulator's loop."""

    def __init__(self, switches: Switches, connections: Connections, journal: Journal, tasks: Tasks) -> None:
        self._switches = switches
        self._connections = connections
        self._journal = journal
        self._tasks = tasks

    async def send(self, link: Link, event: Event, data: bytes = b"") -> None:
        """Send one event, with its code in the session field and the reply id 0."""
        frame = wire.Frame(Command.REG_EVENT, event, 0, data)
        packet = frame.packet()
        whole = packet if link.udp else wire.with_top(packet)
        self._journal.note("out", frame, link.number)
        await link.send(delivery.event_pieces(whole, self._switches, udp=link.udp))

    async def send_acknowledged(self, link: Link, event: Event, data: bytes) -> None:
        """Send one event and wait for the client's ACK: pyzk never splits two that arrive together."""
        link.acknowledged.clear()
        await self.send(link, event, data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._switches.ack_wait):
                await link.acknowledged.wait()

    def announce(self, attempt: Attempt) -> None:
        """Send what a person did to every session that registered for it: finger, verification, punch.

        Source: zk-protocol realtime.md, "On Finger" (also in normal operation, whether the user is registered or not)
        and "On Verify" (`ffffffff` for a user who is not known).
        """
        if attempt.verify == BY_FINGER:
            self._send_all(Event.FINGER, b"")
        uid = _UNKNOWN_UID if attempt.uid is None else attempt.uid
        self._send_all(Event.VERIFY, uid.to_bytes(4, "little") + b"\x01")
        if attempt.punch is not None:
            self._send_all(Event.ATTLOG, records.attendance_event(attempt.punch, self._switches.event))

    def announce_alarm(self, data: bytes) -> None:
        """Send an alarm to every session that registered for it."""
        self._send_all(Event.ALARM, data)

    def _send_all(self, event: Event, data: bytes) -> None:
        for link in self._connections.links:
            if link.session is not None and link.session.mask & event:
                self._tasks.start(self.send(link, event, data))
