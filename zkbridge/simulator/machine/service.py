"""One request from arrival to answer: its faults, its effect, its answer as it leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from zkbridge.simulator import requests
from zkbridge.simulator.network import delivery
from zkbridge.simulator.network.exchange import Answer, Part, Piece
from zkbridge.simulator.requests.table import Host, Request
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import Code, Event, command_name
from zkbridge.simulator.wire.records import Punch

if TYPE_CHECKING:
    from zkbridge.simulator.device.journal import Journal
    from zkbridge.simulator.device.terminal import Terminal
    from zkbridge.simulator.machine.events import Events
    from zkbridge.simulator.machine.processor import Processor
    from zkbridge.simulator.network.faults import Fault, Faults
    from zkbridge.simulator.network.link import Link
    from zkbridge.simulator.network.session import Session

#: Before the effect, these leave none, and what is left of an answer is that of an ACK.
_NO_EFFECT = {"close", "reset", "silence", "half", "garbage", "refuse", "power_off"}


class Owner(Host, Protocol):
    """What serving a request needs of the machine beyond what a command may ask of it."""

    terminal: Terminal
    journal: Journal
    faults: Faults
    handle: Any
    processor: Processor
    events: Events

    async def power_off(self, how: str = "reset") -> None:
        """Cut the power."""


class Service:
    """Serves the requests of one machine."""

    def __init__(self, machine: Owner) -> None:
        self._machine = machine
        self._switches = machine.terminal.switches

    async def serve(self, link: Link, frame: wire.Frame) -> None:
        """Carry a request out and answer it."""
        self._machine.journal.note("in", frame, link.number)
        if frame.command == Code.OK:
            link.acknowledged.set()
            return
        if self._switches.check_checksum and not frame.intact:
            return
        faults = self._machine.faults.take(frame.command)
        # The session's id stands in the answer to EXIT too, when the session is gone.
        session = link.session
        answer = await self._carry_out(link, frame, faults)
        if answer is None or link.dead:
            return
        await asyncio.sleep(self._latency(frame.command) + answer.prepare_s)
        await self._deliver(link, frame, answer, faults, link.session or session)
        if answer.then is not None and not link.dead:
            answer.then()

    async def _carry_out(self, link: Link, frame: wire.Frame, faults: list[Fault]) -> Answer | None:
        before = [fault for fault in faults if fault.when == "before"]
        after = [fault for fault in faults if fault.when == "after"]
        # One at a time, in the order in which they came: what waits here has others wait, on whatever connection.
        # Otherwise a write could have its effect after a later ENABLE, on a uid that another user has by then.
        async with self._machine.processor.lock:
            await self._happen(link, before)
            if link.dead:
                return None
            skipped = next((fault for fault in before if fault.do in _NO_EFFECT), None)
            if skipped is not None:
                return Answer((Part(skipped.code if skipped.do == "refuse" else Code.OK),))
            answer = requests.answer(self._request(link, frame))
        if answer is None:
            return None
        await self._happen(link, after)
        refusal = next((fault for fault in after if fault.do == "refuse"), None)
        return answer if refusal is None else Answer((Part(refusal.code),), then=answer.then)

    def _request(self, link: Link, frame: wire.Frame) -> Request:
        return Request(
            command=frame.command,
            data=frame.data,
            session_field=frame.session,
            session=link.session,
            link=link,
            terminal=self._machine.terminal,
            host=self._machine,
        )

    async def _happen(self, link: Link, faults: list[Fault]) -> None:
        for fault in faults:
            if callable(fault.do):
                fault.do(self._machine.handle)
            elif fault.do == "late":
                await self._linger(fault)
            elif fault.do == "event":
                await self._machine.events.send(link, Event.ATTLOG, self._any_punch())
            elif fault.do == "power_off":
                await self._machine.power_off()

    async def _linger(self, fault: Fault) -> None:
        """Time passes. Before the effect the terminal is at work: its keypad waits, as its other clients do."""
        if fault.when == "before":
            self._machine.processor.busy = True
        await asyncio.sleep(fault.delay)
        if fault.when == "before":
            self._machine.processor.busy = False

    async def _deliver(
        self, link: Link, frame: wire.Frame, answer: Answer, faults: list[Fault], session: Session | None
    ) -> None:
        number = session.number if session else frame.session
        whole = delivery.frames(answer, session=number, reply_id=frame.reply_id, udp=link.udp)
        for fault in faults:
            whole = delivery.faulty_frames(whole, fault)
        pieces = delivery.pieces(whole, self._switches, bulk=answer.bulk, udp=link.udp)
        pieces, ending = self._limited(pieces, whole, answer, session, udp=link.udp)
        for fault in faults:
            pieces = delivery.faulty_pieces(pieces, fault)
            if fault.do in ("close", "reset"):
                ending = str(fault.do)
        for part in answer.parts if pieces else ():
            sent = wire.Frame(part.code, number, frame.reply_id, part.data)
            self._machine.journal.note("out", sent, link.number)
        await link.send(pieces)
        if ending == "reset":
            link.reset()
        elif ending == "close":
            link.close()

    def _limited(
        self,
        pieces: list[Piece],
        whole: list[bytes],
        answer: Answer,
        session: Session | None,
        *,
        udp: bool,
    ) -> tuple[list[Piece], str]:
        """What is left of bulk data when a switch ends it after so many bytes, and how it ends."""
        switches = self._switches
        limits = {"stall": switches.stall_after, "close": switches.fin_after, "reset": switches.reset_after}
        active = [(limit, how) for how, limit in limits.items() if limit]
        if not active or session is None:
            return pieces, ""
        limit, how = min(active)
        place = delivery.cut_in_data(whole, max(limit - session.bulk_sent, 0), udp=udp)
        session.bulk_sent += delivery.bulk_bytes(answer)
        if place is None:
            return pieces, ""
        return delivery.cut(pieces, place), how

    def _latency(self, command: int) -> float:
        delays = self._switches.delays
        return self._switches.latency + delays.get(command_name(command), delays.get(str(command), 0.0))

    def _any_punch(self) -> bytes:
        terminal = self._machine.terminal
        users = terminal.users.stored
        uid = next(iter(users), 1)
        pin = records.user_pin(users[uid]) if uid in users else "1"
        moment = wire.encode_time(terminal.clock.now())
        return records.attendance_event(Punch(uid, pin, 1, 0, moment), self._switches.event)
