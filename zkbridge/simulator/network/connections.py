"""The clients of one terminal: which connections are served, which have a session, which have ended.

What a terminal does with a second client is known by complaints only (fananimi/pyzk issues 57 and 58, node-zklib
issues 8 and 43), so a switch decides.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.network.exchange import Piece
from zkbridge.simulator.network.link import Link, TcpLink, UdpLink
from zkbridge.simulator.network.session import Session
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire.codes import Code

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine

    from zkbridge.simulator.device.terminal import Terminal
    from zkbridge.simulator.network.server import Address

_log = logging.getLogger(__name__)

_READ = 65_536
#: The first bytes of another manufacturer's framing, as C3 panels speak it.
_FOREIGN = b"\xaa\x01\xc8\x04\x00\xfa\xff\xff\xff\x55"


class Connections:
    """All links of a terminal. `serve` carries one request out, `spawn` runs work beside the rest."""

    def __init__(
        self,
        terminal: Terminal,
        *,
        first_session: int | None,
        serve: Callable[[Link, wire.Frame], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.accepted = 0
        self.links: list[Link] = []
        self.powered = False
        self.round_trips = 0
        self._terminal = terminal
        self._switches = terminal.switches
        self._first_session = first_session
        self._serve = serve
        self._spawn = spawn
        self._peers: dict[Address, UdpLink] = {}
        self._last_close = float("-inf")

    # Coming

    def tcp_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A TCP connection was accepted by the system."""
        self.accepted += 1
        link = TcpLink(self.accepted, reader, writer)
        # The system may have accepted it before the power went.
        treatment = self._judge(link) if self.powered else "refuse"
        if treatment == "refuse":
            link.reset()
            return
        link.admitted = treatment == "serve"
        self.links.append(link)
        self._spawn(self._converse_tcp(link))

    def datagram(self, data: bytes, address: Address, send: Callable[[bytes, Address], None]) -> None:
        """A datagram has arrived; `send` answers it."""
        link = self._peers.get(address)
        if link is None:
            self.accepted += 1
            link = UdpLink(self.accepted, lambda answer: send(answer, address))
            self._peers[address] = link
            self.links.append(link)
            self._spawn(self._converse_udp(link, address))
        link.inbox.put_nowait(data)

    async def _converse_tcp(self, link: TcpLink) -> None:
        parser = wire.StreamParser()
        try:
            while not link.closing and (data := await link.reader.read(_READ)):
                if link.dead and self.powered:
                    # A machine that has started again knows nothing of old connections.
                    link.reset()
                elif link.admitted and not link.dead:
                    await self._hear(link, parser.feed(data))
        except ConnectionError:
            _log.debug("connection %s was reset by the client", link.number)
        finally:
            self._forget(link)
            link.close()

    async def _converse_udp(self, link: UdpLink, address: Address) -> None:
        try:
            while (data := await link.inbox.get()) is not None:
                frame = wire.parse_packet(data)
                await self._hear(link, [] if frame is None else [frame])
                if link.session is None and link.inbox.empty():
                    return
        finally:
            link.close()
            del self._peers[address]
            self._forget(link)

    async def _hear(self, link: Link, frames: list[wire.Frame]) -> None:
        link.heard = time.monotonic()
        if self._switches.foreign_protocol:
            await link.send([Piece(_FOREIGN)])
            return
        requests = [frame for frame in frames if frame.command != Code.OK]
        self.round_trips += bool(requests)
        taken = self._switches.several_requests
        if len(requests) > 1 and taken != "serve":
            frames = requests[-1:] if taken == "last" else requests[:1]
        for frame in frames:
            if link.closing or link.dead:
                return
            await self._serve(link, frame)
        if len(requests) > 1 and taken == "reset":
            link.reset()

    # Judging

    def _judge(self, link: Link) -> str:
        """How a new connection is treated: `serve`, `refuse` or `ignore`."""
        now = time.monotonic()
        # Looked at before the rest, because it notices connections that have just been closed.
        holders = [other for other in self.links if other is not link and self._holds_place(other, now)]
        if now - self._last_close < self._switches.reset_soon_after_close:
            return "refuse"
        mode = self._switches.second_connection
        if not holders or mode == "serve":
            return "serve"
        if mode != "replace":
            return mode
        for other in holders:
            self._forget(other)
            other.dead = True
            other.reset()
        return "serve"

    def _holds_place(self, link: Link, now: float) -> bool:
        if link.dead or not link.admitted or (link.udp and link.session is None):
            return False
        if link.closed:
            self._last_close = now
            return False
        limit = self._switches.slot_timeout
        return not limit or now - link.heard < limit

    # Sessions

    @property
    def sessions_open(self) -> int:
        """Sessions begun and not ended."""
        return sum(link.session is not None for link in self.links)

    def open_session(self, link: Link, *, authorised: bool) -> Session | None:
        """The session of a link, begun if it has none; None when a UDP client finds the place taken."""
        if link.session is None:
            if link.udp and self._judge(link) != "serve":
                return None
            link.session = Session(self._free_session_id(), authorised)
        return link.session

    def end_session(self, link: Link) -> None:
        """End the session of a link, if it has one."""
        session, link.session = link.session, None
        if session is not None and session.disabled_by_me and not self._switches.keep_disabled:
            self._terminal.enable()

    def _free_session_id(self) -> int:
        taken = {link.session.number for link in self.links if link.session} | {0, 0xFFFF}
        number = (int(time.time()) if self._first_session is None else self._first_session) & 0xFFFF
        while number in taken:
            number = (number + 1) & 0xFFFF
        return number

    # Going

    def drop_idle(self) -> None:
        """Close what has been silent for longer than `idle_timeout`."""
        limit = self._switches.idle_timeout
        now = time.monotonic()
        for link in list(self.links) if limit else ():
            if now - link.heard > limit and not link.dead:
                self._forget(link)
                link.close()

    def lose_power(self, how: str) -> None:
        """All links end: by `reset`, by `close`, or without FIN and RST (`silent`)."""
        for link in list(self.links):
            link.dead = True
            self.end_session(link)
            if how == "reset":
                link.reset()
            elif how == "close" or link.udp:
                link.close()

    def _forget(self, link: Link) -> None:
        if link in self.links:
            self.links.remove(link)
            if not link.udp:
                self._last_close = time.monotonic()
        self.end_session(link)
