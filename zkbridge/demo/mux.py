"""One port for MQTT 3.1.1 and MQTT 5, before a broker that has a port for each."""

import asyncio
import logging
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

log = logging.getLogger(__name__)

LOCALHOST = "127.0.0.1"
MAX_CLIENTS = 200
CHUNK = 65_536

# Seconds: a client has this long to say who it is; to take what is sent to it; and, once one side has
# closed, the other to say its last words.
IDENTIFY_S = 5
STUCK_S = 60
LINGER_S = 5

# Turns of the loop until asyncio has handed over a connection that it was just accepting: once its server is closed it
# would forget such a one, and leave it open (`_accept_connection2` in selector_events.py of Python 3.11).
_BEING_ACCEPTED = 3
CONNECT = 0x10
# The variable header of CONNECT begins so (MQTT 3.1 section 3.1, MQTT 3.1.1 and 5 section 3.1.2.1).
PROTOCOL_NAMES = (b"\x00\x04MQTT", b"\x00\x06MQIsdp")
# CONNACK, return code 1: unacceptable protocol level (MQTT 3.1.1 section 3.2.2.3).
WRONG_LEVEL = b"\x20\x02\x00\x01"


class NotMqtt(Exception):
    """What a client sent first is not the beginning of a CONNECT packet."""


def protocol_level(received: bytes) -> int | None:
    """Return the protocol level that a CONNECT packet asks for (4 is MQTT 3.1.1, 5 is MQTT 5).

    None while *received*, the connection's first bytes, do not reach that far; raise NotMqtt if they never will.
    """
    if received and received[0] != CONNECT:
        raise NotMqtt
    # The remaining length: seven bits a byte, the eighth says that one more follows, four bytes at most.
    for position in range(1, 5):
        if len(received) <= position:
            return None
        if received[position] < 0x80:
            return _level_after_name(received[position + 1 :])
    raise NotMqtt


def _level_after_name(header: bytes) -> int | None:
    for name in PROTOCOL_NAMES:
        if header.startswith(name) and len(header) > len(name):
            return header[len(name)]
        if name.startswith(header) or header == name:
            return None
    raise NotMqtt


class Mux:
    """Listen on *host* and *port* (0: any free one) and pass each client on to the port of its protocol level.

    *backends* maps a protocol level to a port of this machine. Garbage, silence and clients that take nothing
    cost a connection for some seconds and nothing else.
    """

    def __init__(self, host: str, port: int, *, backends: Mapping[int, int]) -> None:
        self.host = host
        self.port = port
        self._backends = backends
        self._clients: dict[asyncio.Task[None], asyncio.WriteTransport] = {}
        self._listener: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-mux")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return when clients can connect, `port` being known; raise OSError if the address cannot be had."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=100)
        self.port = self._listener.getsockname()[1]
        self._thread.start()
        self._running.wait()

    def stop(self) -> None:
        """Close the port and every connection."""
        if not self._thread.is_alive():
            return
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._running.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._listener)
        self._running.set()
        await self._stop.wait()
        self._loop.remove_reader(server.sockets[0])
        for _ in range(_BEING_ACCEPTED):
            await asyncio.sleep(0)
        server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Have a connection served, and closed whatever becomes of that, also if it is cancelled before it begins."""
        task = asyncio.create_task(self._client(reader, writer))
        self._clients[task] = writer.transport
        task.add_done_callback(lambda task: self._clients.pop(task).abort())

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection may end in any way and at any moment; whatever the way, it is over, and only it.
        with suppress(OSError, NotMqtt, asyncio.CancelledError):
            await self._introduce(reader, writer)

    async def _introduce(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) > MAX_CLIENTS:
            log.warning("more than %d MQTT clients: one is turned away", MAX_CLIENTS)
            return
        received = b""
        async with asyncio.timeout(IDENTIFY_S):
            while (level := protocol_level(received)) is None:
                chunk = await reader.read(CHUNK)
                if not chunk:
                    return
                received += chunk
        backend = self._backends.get(level)
        if backend is None:
            writer.write(WRONG_LEVEL)
            await _finish(reader, writer)
            return
        broker_reader, broker_writer = await asyncio.open_connection(LOCALHOST, backend)
        try:
            broker_writer.write(received)
            await _splice((reader, writer), (broker_reader, broker_writer))
        finally:
            broker_writer.transport.abort()


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _splice(client: Stream, broker: Stream) -> None:
    """Copy both ways until both sides have closed, the second within LINGER_S of the first."""
    ways = [asyncio.create_task(_copy(client[0], broker[1])), asyncio.create_task(_copy(broker[0], client[1]))]
    try:
        done, pending = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in done:
            way.result()
        if pending:
            await asyncio.wait(pending, timeout=LINGER_S)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        async with asyncio.timeout(STUCK_S):
            await writer.drain()
    # Half closed, so that what is on its way to the one side still reaches it.
    writer.write_eof()


async def _finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the last words reach the client before the connection is closed."""
    writer.write_eof()
    async with asyncio.timeout(LINGER_S):
        while await reader.read(CHUNK):
            pass
