"""pyzk made safe: its commands over `Exchange` and `BulkReader` instead of its own socket.

pyzk 0.9 reads an answer with one `recv`, compares no reply id, never ends at a closed connection, and pings by a
shell. Its methods reach the wire through private ones, which are replaced here; what they know of the protocol stays.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Self

import zk
from zk import ZK

from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceAuthFailed, DeviceRejected, TerminalError
from zkbridge.contract.texts import shown
from zkbridge.contract.wrong_device import WrongDevice
from zkbridge.port.waker import Waker
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.bulk_read import BulkReader
from zkbridge.terminal.protocol.codes import GOOD, Code, Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.exchange import Exchange
from zkbridge.terminal.protocol.failures import failure
from zkbridge.terminal.protocol.tables import MAX_LOG_BYTES
from zkbridge.terminal.protocol.wire import Frame

#: What is replaced of pyzk's private methods, and must be there for it to use ours.
_REPLACED = ("_ZK__create_socket", "_ZK__send_command", "_ZK__ack_ok", "_ZK__recieve_chunk")


def check_pyzk(pyzk: type) -> None:
    """Raise ImportError when this pyzk is not the one whose private methods are replaced here."""
    missing = [name.removeprefix("_ZK") for name in _REPLACED if not callable(getattr(pyzk, name, None))]
    if missing:
        version = ".".join(map(str, getattr(zk, "VERSION", ())))
        raise ImportError(f"pyzk {version} has no {', '.join(missing)}: zkbridge needs pyzk 0.9")


check_pyzk(ZK)


class Client(ZK):
    """A connection to one terminal, with pyzk's methods and those of `exchange` and `bulk`.

    Raises what they raise. Methods of pyzk raise ZKErrorResponse when the terminal answers no; `answer` is its number.
    """

    def __init__(self, device: Device, deadline: Deadline) -> None:
        self._device = device
        try:
            super().__init__(
                device.host,
                device.port,
                timeout=device.timeout,
                password=device.comm_key,
                force_udp=device.transport == "udp",
                ommit_ping=True,
                encoding=device.encoding,
            )
        except OSError as error:  # pyzk opens a socket that it never uses
            raise failure(error, device.host, device.port) from error
        self._ZK__sock.close()
        self._ZK__sock = None  # and no method of pyzk is to read a socket past the channel
        self.exchange = Exchange(device, deadline)
        self.bulk = BulkReader(self.exchange)
        self.events = self.exchange.events

    @property
    def usable(self) -> bool:
        """Whether the connection is open and nothing about it is in doubt."""
        return self.exchange.usable

    @property
    def deadline(self) -> Deadline:
        """When every answer must be whole, whatever the device's timeout is."""
        return self.exchange.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self.exchange.deadline = deadline

    @property
    def answer(self) -> int:
        """The number of the last answer; 0 before the first."""
        return self.exchange.last.command if self.exchange.last is not None else 0

    def connect(self) -> Self:
        """Connect, show the communication key if asked, and compare the serial number if one is configured.

        Raises also DeviceAuthFailed, DeviceRejected, WrongDevice.
        """
        self._ZK__create_socket()
        try:
            self._greet()
            self._check_serial()
        except BaseException:
            self.disconnect()
            raise
        self.is_connect = True
        return self

    def disconnect(self) -> bool:
        """Send EXIT if the terminal still answers, and close in any case."""
        self.is_connect = False
        try:
            if self.usable:
                with suppress(TerminalError):
                    self.request(Command.EXIT)
        finally:
            self.exchange.close()
        return True

    def hang_up(self) -> None:
        """Close without waiting for an answer, as `Exchange.hang_up`."""
        self.is_connect = False
        self.exchange.hang_up()

    def request(self, command: int, data: bytes = b"") -> Frame:
        """Ask, and return the first frame of the answer, whatever it says."""
        return self.exchange.request(command, data)

    def ask(self, command: int) -> None:
        """Ask without waiting; `take_answer` must follow before anything else is asked."""
        self.exchange.ask(command)

    def take_answer(self) -> Frame:
        """The first frame of the answer to what `ask` asked."""
        return self.exchange.take_answer()

    def event(self, until: Deadline, waker: Waker | None = None) -> Frame | None:
        """The next event; None when the time is over or the waker was used."""
        return self.exchange.event(until, waker)

    def acknowledge(self) -> None:
        """Tell the terminal that its event has arrived."""
        self._ZK__ack_ok()

    def read_with_buffer(self, command: int, fct: int = 0, ext: int = 0) -> tuple[bytes, int]:
        """A whole table and its length, as pyzk's own methods ask for it."""
        table, size = self.bulk.table(command, fct, ext, most=MAX_LOG_BYTES)
        return bytes(table), size

    def rejected(self, operation: str) -> DeviceRejected:
        """The error for the last answer where it was not a success; `operation` says what was asked."""
        return self.exchange.rejected(operation)

    def _greet(self) -> None:
        """CONNECT, and AUTH where that is answered by 2005, as a terminal may ask although its key is 0 (pyzk#1)."""
        answer = self.request(Command.CONNECT)
        self.exchange.session = answer.session
        if answer.command == Code.UNAUTH:
            key = wire.scramble_key(self._device.comm_key, answer.session)
            if self.request(Command.AUTH, key).command != Code.OK:
                raise DeviceAuthFailed(host=self._device.host, port=self._device.port)
        elif answer.command != Code.OK:
            raise self.rejected("CONNECT")

    def _check_serial(self) -> None:
        """Before anything else is asked: at an address that DHCP gave away, another terminal may answer."""
        serial = self._device.serial
        if serial is None:
            return
        answer = self.request(Command.OPTIONS_RRQ, b"~SerialNumber\0")
        text = answer.data.split(b"\0", 1)[0].decode("utf-8", "replace") if answer.command == Code.OK else ""
        found = text.rpartition("=")[2].strip()
        if found != serial:
            host, port = self._device.host, self._device.port
            raise WrongDevice("" if found else "untold", host=host, port=port, serial=serial, found=shown(found))

    # What pyzk calls. The names are its private ones as Python mangles them.

    def _ZK__create_socket(self) -> None:  # noqa: N802 - pyzk's name
        self.exchange.open()

    def _ZK__send_command(  # noqa: N802 - pyzk's name
        self, command: int, command_string: bytes = b"", response_size: int = 8
    ) -> dict[str, Any]:
        del response_size  # pyzk's guess; the frame has it
        answer = self.request(command, command_string)
        # Where pyzk's own methods look for the last answer.
        self._ZK__header = (answer.command, 0, answer.session, answer.reply_id)
        self._ZK__response = answer.command
        self._ZK__reply_id = answer.reply_id
        self._ZK__data = answer.data
        self._ZK__tcp_length = wire.HEADER_BYTES + len(answer.data)
        return {"status": answer.command in GOOD, "code": answer.command}

    def _ZK__recieve_chunk(self) -> bytes | None:  # noqa: N802 - pyzk's name
        return self.bulk.rest(Frame(self._ZK__response, 0, self._ZK__reply_id, self._ZK__data))

    def _ZK__ack_ok(self) -> None:  # noqa: N802 - pyzk's name
        self.exchange.acknowledge()
