"""The terminal itself in one conversation: what it is, its counts, its clock, its door."""

from __future__ import annotations

import logging
import struct
import time
from datetime import datetime

from zkbridge.contract.errors import DeviceUnreachable
from zkbridge.port.facts import ClockReading, Info, Sizes
from zkbridge.terminal.conversation import Conversation
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.protocol.sizes import parse_sizes

log = logging.getLogger(__name__)

#: How a connection ends when the terminal drops it.
_DROPPED = ("closed", "reset")


class Machine(Conversation):
    """The terminal itself. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    _sizes = Sizes()
    _told = Info()
    _clock: ClockReading | None = None

    @property
    def told(self) -> Info:
        """What the terminal has reported in this conversation, counts and clock as it last reported them."""
        return self._told._replace(sizes=self._sizes, clock=self._clock)

    def sizes(self) -> Sizes:
        """The terminal's own counts, read now; all None if it does not report them."""
        answer = self._client.request(Command.GET_FREE_SIZES)
        self._sizes = parse_sizes(answer.data) if answer.command == Code.OK else Sizes()
        return self._sizes

    def info(self) -> Info:
        """All that the terminal says of itself."""
        told = self._greeting()
        self._told = told._replace(platform=self.option("~Platform") or "", mac=self.option("MAC") or "")
        self.sizes()
        return self.told

    def brief(self) -> Info:
        """Serial number, model and firmware, in few requests."""
        self._told = self._greeting()
        self.sizes()
        return self.told

    def option(self, name: str) -> str | None:
        """A setting by its name, as text; None where the terminal does not know it."""
        answer = self._client.request(Command.OPTIONS_RRQ, name.encode() + b"\0")
        if answer.command != Code.OK:
            return None
        told = _text(answer.data)
        # Some terminals answer with the bare value; pyzk 0.9 takes that too.
        return told.partition("=")[2] if "=" in told else told

    def time(self) -> datetime | None:
        """The terminal's clock, without a time zone; None where it shows no date."""
        began = time.time()
        data = self._command(Command.GET_TIME).data
        at = began + (time.time() - began) / 2
        shown = wire.decode_time(self._do("GET_TIME", lambda: struct.unpack_from("<I", data)[0]))
        self._clock = None if shown is None else ClockReading(shown, at)
        return shown

    def set_time(self, when: datetime) -> None:
        """Set the terminal's clock to what `when` shows, whatever its time zone."""
        self._do("SET_TIME", lambda: self._client.set_time(when))
        self.refresh()

    def refresh(self) -> bool:
        """Have the terminal use what was written. A refusal is no failure: the data is on the terminal all the same."""
        refreshed = self._client.request(Command.REFRESHDATA).command == Code.OK
        if not refreshed:
            log.warning("device=%s refused to refresh its data, answer %d", self.device.id, self._client.answer)
        return refreshed

    def unlock(self, seconds: int) -> None:
        """Open the door for some seconds.

        Sources: pyzk 0.9 (tenths of a second), zk-protocol `access.md` of an F19 (seconds).
        """
        amount = seconds if self.device.door.unit == "seconds" else seconds * 10
        self._command(Command.UNLOCK, struct.pack("<I", amount))

    def door_open(self) -> bool:
        """Whether the door is open. Raises DeviceRejected (`door_state`) where the terminal does not say.

        Source: zk-protocol `access.md`, pyzatt (one byte: 0 closed, 1 open).
        """
        answer = self._client.request(Command.DOORSTATE_RRQ)
        if answer.command != Code.OK:
            raise self._unreadable("door_state", f"answer {answer.command}")
        if answer.data[:1] not in (b"\0", b"\1"):
            raise self._unreadable("door_state", f"state {answer.data[:1].hex() or 'absent'}")
        return answer.data[:1] == b"\1"

    def restart(self) -> bool:
        """Restart the terminal; False where it dropped the connection instead of an answer. Nothing follows it.

        Some firmware never acknowledges (zk-protocol `other.md`, an F19). Raises DeviceRejected where it refuses,
        DeviceTimeout where it neither answers nor ends the connection.
        """
        acknowledged = True
        try:
            self._command(Command.RESTART)
        except DeviceUnreachable as failure:
            if failure.reason not in _DROPPED:
                raise
            acknowledged = False
        self._client.hang_up()
        return acknowledged

    def _greeting(self) -> Info:
        serial_number = self.option("~SerialNumber") or ""
        device_name = self.option("~DeviceName") or ""
        answer = self._client.request(Command.GET_VERSION)
        firmware = _text(answer.data) if answer.command == Code.OK else ""
        return Info(serial_number=serial_number, device_name=device_name, firmware=firmware)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()
