"""One simulated terminal at work: connections, sessions, requests in order, power."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zkbridge.simulator import delivery, records, requests, wire
from zkbridge.simulator.codes import Code, Command, Event, command_name
from zkbridge.simulator.faults import Fault, Faults
from zkbridge.simulator.journal import Journal
from zkbridge.simulator.link import Link, TcpLink, UdpLink
from zkbridge.simulator.person import Enrolment
from zkbridge.simulator.records import Punch
from zkbridge.simulator.requests.table import Answer, Part, Request
from zkbridge.simulator.server import Address, Listener
from zkbridge.simulator.session import Session
from zkbridge.simulator.terminal import OP_POWER_ON

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from zkbridge.simulator.terminal import Terminal

_log = logging.getLogger(__name__)

#: Between the answer to RESTART or POWEROFF and the end of the connections.
_FAREWELL = 0.05
_READ = 65_536
#: Before the effect, these leave none, and what is left of an answer is that of an ACK.
_NO_EFFECT = {"close", "reset", "silence", "half", "garbage", "refuse", "power_off"}
_FOREIGN = b"\xaa\x01\xc8\x04\x00\xfa\xff\xff\xff\x55"


@dataclass
class Machine:
    """A terminal's data on the wire. Everything here belongs to the simulator's loop."""

    terminal: Terminal
    host: str
    port: int
    comm_key: int = 0
    session_id: int | None = None
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    powered: bool = False
    connections_accepted: int = 0
    #: What a fault hands to a function: the terminal as tests see it.
    handle: Any = None

    def __post_init__(self) -> None:
        self.switches = self.terminal.switches
        self._links: list[Link] = []
        self._peers: dict[Address, UdpLink] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = Listener(self.switches, on_tcp=self._tcp_client, on_datagram=self._datagram)
        self._last_close = float("-inf")
        self._enrolment: Enrolment | None = None
        self._enrolment_task: asyncio.Task[None] | None = None
        self._enrolment_link: Link | None = None
        self._next_script: str | Sequence[int] | None = None
        self._enabled = asyncio.Event()

    # Power

    async def power_on(self) -> None:
        """Listen; what a restart makes visible is visible."""
        if self.powered:
            return
        self.terminal.commit_waiting()
        self.terminal.log_operation(OP_POWER_ON)
        self.port = await self._listener.open(self.host, self.port, self.switches.transport)
        self.powered = True
        self.terminal.on_change("power on")

    async def power_off(self, how: str = "reset") -> None:
        """No power: connections are `reset`, closed (`close`) or left dead without a word (`silent`)."""
        self.powered = False
        await self._listener.close()
        self._stop_enrolment()
        for link in list(self._links):
            link.dead = True
            self._end_session(link)
            if how == "reset":
                link.reset()
            elif how == "close" or link.udp:
                link.close()
        self.terminal.enable()
        self.terminal.lcd.clear()
        self.terminal.on_change("power off")

    async def move(self, host: str, port: int) -> None:
        """Another address, as DHCP gives one; connections to the old one are dead."""
        await self.power_off("silent")
        self.host, self.port = host, port
        await self.power_on()

    async def listen_again(self) -> None:
        """Follow a change of the transport."""
        if self.powered:
            await self._listener.close()
            self.port = await self._listener.open(self.host, self.port, self.switches.transport)

    async def shut_down(self) -> None:
        """End everything, for good."""
        await self.power_off()
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
        await self._farewell("silent" if self.switches.silent_restart else "close")
        await asyncio.sleep(self.switches.restart_seconds)
        await self.power_on()

    async def _farewell(self, how: str) -> None:
        await asyncio.sleep(_FAREWELL)
        await self.power_off(how)

    # Connections

    def _tcp_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_accepted += 1
        link = TcpLink(self.connections_accepted, reader, writer)
        if not self._admit(link):
            link.reset()
            return
        self._links.append(link)
        self._spawn(self._tcp_conversation(link))

    async def _tcp_conversation(self, link: TcpLink) -> None:
        try:
            await self._converse(link)
        except ConnectionError:
            _log.debug("connection %s was reset by the client", link.number)
        finally:
            self._forget(link)
            link.close()

    async def _converse(self, link: TcpLink) -> None:
        parser = wire.StreamParser()
        while data := await link.reader.read(_READ):
            if link.dead:
                if not self.powered:
                    continue
                # A machine that has started again knows nothing of old connections.
                link.reset()
                return
            if not link.admitted:
                continue
            link.heard = time.monotonic()
            if self.switches.foreign_protocol:
                await link.send([delivery.Piece(_FOREIGN)])
                continue
            for frame in parser.feed(data):
                await self._serve(link, frame)

    def _admit(self, link: Link) -> bool:
        """Judge a new connection by those that are there; false when it is to be reset."""
        now = time.monotonic()
        holders = [other for other in self._links if self._holds_slot(other, now)]
        if now - self._last_close < self.switches.reset_soon_after_close:
            return False
        mode = self.switches.second_connection
        if not holders or mode == "serve":
            return True
        if mode == "replace":
            for other in holders:
                self._forget(other)
                other.dead = True
                other.reset()
            return True
        link.admitted = False
        return mode == "ignore"

    def _holds_slot(self, link: Link, now: float) -> bool:
        if link.dead or not link.admitted or (link.udp and link.session is None):
            return False
        if link.closed:
            self._last_close = now
            return False
        limit = self.switches.slot_timeout
        return not limit or now - link.heard < limit

    def _datagram(self, data: bytes, address: Address) -> None:
        link = self._peers.get(address)
        if link is None:
            self.connections_accepted += 1
            link = UdpLink(self.connections_accepted, lambda answer: self._listener.send_datagram(answer, address))
            self._peers[address] = link
            self._links.append(link)
            self._spawn(self._converse_udp(link, address))
        link.inbox.put_nowait(data)

    async def _converse_udp(self, link: UdpLink, address: Address) -> None:
        try:
            while (data := await link.inbox.get()) is not None:
                link.heard = time.monotonic()
                frame = wire.parse_packet(data)
                if self.switches.foreign_protocol:
                    await link.send([delivery.Piece(_FOREIGN)])
                elif frame is not None:
                    await self._serve(link, frame)
                if link.session is None and link.inbox.empty():
                    return
        finally:
            link.close()
            del self._peers[address]
            self._forget(link)

    def _forget(self, link: Link) -> None:
        if link in self._links:
            self._links.remove(link)
            self._last_close = time.monotonic()
        self._end_session(link)

    def drop_idle(self) -> None:
        """Close what has been silent for longer than `idle_timeout`; called now and then."""
        limit = self.switches.idle_timeout
        now = time.monotonic()
        for link in list(self._links) if limit else ():
            if now - link.heard > limit and not link.dead:
                self._forget(link)
                link.close()

    # Sessions

    @property
    def sessions_open(self) -> int:
        """Sessions begun and not ended."""
        return sum(link.session is not None for link in self._links)

    def open_session(self, request: Request) -> Session | None:
        """The session of the connection, begun if it has none; None when UDP finds the place taken."""
        link = self._link_of(request)
        if link.session is not None:
            return link.session
        if link.udp and not self._admit(link):
            link.admitted = True
            return None
        if not link.admitted:
            link.admitted = True
            return None
        authorised = self.comm_key == 0 and not self.switches.auth_always
        link.session = Session(self._free_session_id(), authorised)
        return link.session

    def close_session(self, request: Request) -> None:
        """End the session of a connection."""
        self._end_session(self._link_of(request))

    def _link_of(self, request: Request) -> Link:
        assert isinstance(request.link, Link)
        return request.link

    def _free_session_id(self) -> int:
        taken = {link.session.number for link in self._links if link.session} | {0, 0xFFFF}
        number = (int(time.time()) if self.session_id is None else self.session_id) & 0xFFFF
        while number in taken:
            number = (number + 1) & 0xFFFF
        return number

    def _end_session(self, link: Link) -> None:
        session, link.session = link.session, None
        if session is not None and session.disabled_by_me and not self.switches.keep_disabled:
            self.terminal.enable()

    # Requests

    async def _serve(self, link: Link, frame: wire.Frame) -> None:
        """One request: its faults, its effect, its answer."""
        self.journal.note("in", frame, link.number)
        if frame.command == Code.OK:
            link.acknowledged.set()
            return
        if self.switches.check_checksum and not frame.intact:
            return
        faults = self.faults.take(frame.command)
        before = [fault for fault in faults if fault.when == "before"]
        after = [fault for fault in faults if fault.when == "after"]
        await self._happen(link, before)
        if link.dead:
            return
        session = link.session
        skipped = next((fault for fault in before if fault.do in _NO_EFFECT), None)
        answer = self._effect(link, frame) if skipped is None else _bare(skipped)
        if answer is None:
            return
        await self._happen(link, after)
        if any(fault.do == "refuse" for fault in after):
            answer = Answer((Part(next(fault.code for fault in after if fault.do == "refuse")),), then=answer.then)
        await asyncio.sleep(self._latency(frame.command) + answer.prepare_s)
        session = link.session or session
        await self._deliver(link, frame, answer, faults, session)
        if answer.then is not None and not link.dead:
            answer.then()

    def _effect(self, link: Link, frame: wire.Frame) -> Answer | None:
        return requests.answer(
            Request(
                command=frame.command,
                data=frame.data,
                session_field=frame.session,
                session=link.session,
                udp=link.udp,
                link=link,
                terminal=self.terminal,
                host=self,
            )
        )

    async def _happen(self, link: Link, faults: list[Fault]) -> None:
        for fault in faults:
            if callable(fault.do):
                fault.do(self.handle)
            elif fault.do == "late":
                await asyncio.sleep(fault.delay)
            elif fault.do == "event":
                await self.send_event(link, Event.ATTLOG, self._any_punch())
            elif fault.do == "power_off":
                await self.power_off()

    async def _deliver(
        self, link: Link, frame: wire.Frame, answer: Answer, faults: list[Fault], session: Session | None
    ) -> None:
        number = session.number if session else frame.session
        whole = delivery.frames(answer, session=number, reply_id=frame.reply_id, udp=link.udp)
        for fault in faults:
            whole = delivery.spoil_frames(whole, fault)
        pieces = delivery.pieces(whole, self.switches, bulk=answer.bulk, udp=link.udp)
        pieces, ending = self._limited(pieces, whole, answer, session, udp=link.udp)
        for fault in faults:
            pieces = delivery.spoil_pieces(pieces, fault)
            if fault.do in ("close", "reset"):
                ending = str(fault.do)
        if pieces:
            for part in answer.parts:
                self.journal.note("out", wire.Frame(part.code, number, frame.reply_id, part.data), link.number)
        await link.send(pieces)
        if ending == "reset":
            link.reset()
        elif ending == "close":
            link.close()

    def _limited(
        self,
        pieces: list[delivery.Piece],
        whole: list[bytes],
        answer: Answer,
        session: Session | None,
        *,
        udp: bool,
    ) -> tuple[list[delivery.Piece], str]:
        """What is left of bulk data when a switch ends it after so many bytes, and how it ends."""
        switches = self.switches
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
        delays = self.switches.delays
        extra = delays.get(command_name(command), delays.get(str(command), 0.0))
        return self.switches.latency + extra

    # Events and the person

    async def send_event(self, link: Link, event: Event, data: bytes = b"") -> None:
        """One event, its code in the session field and no reply id."""
        frame = wire.Frame(Command.REG_EVENT, event, 0, data)
        packet = frame.packet()
        self.journal.note("out", frame, link.number)
        pieces = delivery.pieces(
            [packet if link.udp else wire.with_top(packet)], self.switches, bulk=False, udp=link.udp
        )
        await link.send(pieces)

    def announce(self, punch: Punch) -> None:
        """Tell every session that registered for it of a punch."""
        for link in self._links:
            mask = link.session.mask if link.session else 0
            if mask & Event.VERIFY:
                self._spawn(self.send_event(link, Event.VERIFY, punch.uid.to_bytes(4, "little") + b"\x01"))
            if mask & Event.ATTLOG:
                data = records.attendance_event(punch, self.switches.event)
                self._spawn(self.send_event(link, Event.ATTLOG, data))

    def announce_alarm(self, data: bytes) -> None:
        """Tell every session that registered for it of an alarm."""
        for link in self._links:
            if link.session and link.session.mask & Event.ALARM:
                self._spawn(self.send_event(link, Event.ALARM, data))

    def start_enrolment(self, request: Request, uid: int, finger: int, flag: int) -> None:
        """Ask the person for a finger."""
        link = self._link_of(request)
        self.terminal.enrolling = True
        self._enrolment_link = link
        self._enrolment = Enrolment(self, link, uid, finger, flag)
        script = self._next_script or self.switches.enrolment
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
        link = self._enrolment_link
        if self._stop_enrolment() and link is not None and self.switches.enrol_cancel == "event":
            self._spawn(self.send_event(link, Event.ENROLLED, b"\x04\x00"))

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

    def _stop_enrolment(self) -> bool:
        if self._enrolment is None or self._enrolment_task is None:
            return False
        self._enrolment = None
        self.terminal.enrolling = False
        self._enrolment_task.cancel()
        return True

    def _any_punch(self) -> bytes:
        users = self.terminal.users
        uid = next(iter(users), 1)
        pin = records.user_pin(users[uid]) if uid in users else "1"
        moment = wire.encode_time(self.terminal.now())
        return records.attendance_event(Punch(uid, pin, 1, 0, moment), self.switches.event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("the simulator has a fault", exc_info=task.exception())


def _bare(fault: Fault) -> Answer:
    return Answer((Part(fault.code if fault.do == "refuse" else Code.OK),))
