"""The sockets of one terminal: TCP and UDP on the same port number."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkbridge.simulator.device.switches import Switches

_ATTEMPTS = 50
_HELD_BACK = 0.05

Address = tuple[str, int]


class Listener:
    """Listens on the configured transports, and hands over connections and datagrams."""

    def __init__(
        self,
        switches: Switches,
        *,
        on_tcp: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
        on_datagram: Callable[[bytes, Address], None],
    ) -> None:
        self._switches = switches
        self._on_tcp = on_tcp
        self._on_datagram = on_datagram
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._keeper: socket.socket | None = None
        self._held: tuple[bytes, Address] | None = None
        self._random = random.Random(4370)  # noqa: S311  the same losses in every run

    async def open(self, host: str, port: int, transport: str) -> int:
        """Listen and return the port; with port 0 the system chooses one that is free for both.

        Raises OSError when the port is taken.
        """
        held = self._keeper is not None
        for attempt in range(_ATTEMPTS):
            try:
                return await self._open_once(host, port, transport)
            except OSError:
                await self.close()
                if not held:
                    self.release()
                if port or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError  # the last attempt returned or raised

    async def close(self) -> None:
        """Listen no more, but keep the port; connections that were handed over stay."""
        if (server := self._tcp) is not None:
            await _hand_over_accepted(server)
            server.close()
            self._tcp = None
        if self._udp is not None:
            self._udp.abort()
            self._udp = None
        # The system has the port back once the loop has run the transports' last callbacks.
        await asyncio.sleep(0)

    def release(self) -> None:
        """Leave the port to others."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def send_datagram(self, data: bytes, address: Address) -> None:
        """Send one datagram, as well as UDP does: the switches say how often it is lost, doubled or late."""
        switches, chance = self._switches, self._random.random
        if self._udp is None or chance() < switches.udp_loss:
            return
        if self._held is None and chance() < switches.udp_reorder:
            self._held = (data, address)
            asyncio.get_running_loop().call_later(_HELD_BACK, self._release)
            return
        for _copy in range(2 if chance() < switches.udp_duplicate else 1):
            self._udp.sendto(data, address)
        self._release()

    def take_datagram(self, data: bytes, address: Address) -> None:
        """A datagram has arrived, unless it is lost on the way in."""
        if self._random.random() >= self._switches.udp_loss:
            self._on_datagram(data, address)

    def _release(self) -> None:
        if self._held is not None and self._udp is not None:
            self._udp.sendto(*self._held)
        self._held = None

    def _keep(self, host: str, port: int) -> int:
        """Bind the TCP port without listening: connections are refused, and no other program gets it."""
        if self._keeper is None:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._keeper = socket.socket(family, socket.SOCK_STREAM)
            # Ours may then listen on the port although it is bound, and clients that lately had it do not block it.
            self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._keeper.bind(address)
        return int(self._keeper.getsockname()[1])

    async def _open_once(self, host: str, port: int, transport: str) -> int:
        port = self._keep(host, port)
        if transport in ("both", "tcp"):
            self._tcp = await asyncio.start_server(self._on_tcp, host, port, reuse_address=True)
        if transport in ("both", "udp"):
            loop = asyncio.get_running_loop()
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self.take_datagram), local_addr=(host, port)
            )
        return port


async def _hand_over_accepted(server: asyncio.Server) -> None:
    """Accept no more, and wait until what was accepted is handed over: `Server.close` would leave it open for good.

    Source: CPython 3.11, `asyncio.base_events.Server._attach`.
    """
    loop = asyncio.get_running_loop()
    for each in server.sockets:
        loop.remove_reader(each.fileno())
    for _turn in range(3):  # of the loop: the task of a connection, its transport, its first call
        await asyncio.sleep(0)


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams on; a client that is gone (ICMP unreachable) is no fault of ours."""

    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self._take(data, cast("Address", addr[:2]))
