"""A simulated terminal over UDP: sessions instead of connections, and bulk data in datagrams.

Sources: js_zklib#7 (datagrams of 1024 bytes, the number of each in its session field) and zk-protocol `data.md`.
"""

from __future__ import annotations

from torture.simulated.terminal import Terminal, reply
from torture.simulated.wire import Wire
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.protocol.wire import Frame

#: Bytes of data in one datagram.
_DATAGRAM = 1024


class UdpTerminal(Terminal):
    """It answers the sessions that CONNECT has begun. After a restart it ignores them, without notice."""

    def answer(self, request: Frame, channel: Wire) -> None:
        """Do what a datagram asks for, and answer it; of an unknown session it is ignored."""
        if request.command == Command.CONNECT and channel not in self.channels and not self.away:
            self.channels.append(channel)
        known = channel in self.channels
        if known or self.away:
            super().answer(request, channel)
        if known and request.command == Command.EXIT and not self.away:
            self.channels.remove(channel)

    def drop_all(self) -> None:
        """Do nothing: there is no connection, and the sessions are kept, because the terminal keeps running."""

    def restart(self) -> None:
        """Forget every session, and let people in."""
        super().restart()
        self.channels.clear()

    def _bulk(self, request: Frame, data: bytes) -> list[Frame]:
        if len(data) <= _DATAGRAM:
            return super()._bulk(request, data)
        pieces = [data[start : start + _DATAGRAM] for start in range(0, len(data), _DATAGRAM)]
        size = len(data).to_bytes(4, "little") + _DATAGRAM.to_bytes(4, "little")
        numbered = [Frame(Command.DATA, number, request.reply_id, piece) for number, piece in enumerate(pieces)]
        return [reply(request, Command.PREPARE_DATA, size), *numbered, reply(request, Code.OK)]
