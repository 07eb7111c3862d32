"""What can be asked of a terminal in one conversation, in our words and our errors."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from zk.exception import ZKErrorResponse

from zkbridge.config import Device
from zkbridge.contract.errors import DeviceFull, DeviceRejected, InvalidField, TerminalError
from zkbridge.terminal.codes import Code, Command
from zkbridge.terminal.conversation import Conversation, Known
from zkbridge.terminal.deadline import Deadline
from zkbridge.terminal.sizes import Sizes
from zkbridge.terminal.users import (
    WIDEST_USER_ID,
    RecordSize,
    UserFields,
    UserTable,
    encode,
    fit,
    in_order,
    record_size_of,
)

__all__ = ["Info", "Known", "Session", "Sizes", "enable", "open_session", "reach"]

log = logging.getLogger(__name__)

_USERS = 5
#: Readings of the table until it agrees with the terminal's count, or is the same twice.
_READINGS = 3


class _Unreadable(Exception):
    """What came instead of a table of users."""


@dataclass(frozen=True)
class Info:
    """A few facts by which a person knows a terminal; "" is what it would not say."""

    serial_number: str
    device_name: str
    firmware: str
    users: int | None
    users_capacity: int | None

    def __str__(self) -> str:
        users = "" if self.users is None else f"{self.users} users"
        if users and self.users_capacity:
            users = f"{self.users} of {self.users_capacity} users"
        facts = (self.device_name, self.serial_number, self.firmware, users)
        return ", ".join(fact for fact in facts if fact)


def open_session(
    device: Device, *, deadline: Deadline, known: Known, disable_for: int | None, lock_dir: Path | None = None
) -> Session:
    """A session, to be used in a `with`; the terminal is disabled meanwhile if `disable_for` says for how long (s)."""
    return Session(device, deadline=deadline, known=known, disable_for=disable_for, lock_dir=lock_dir)


def enable(device: Device, *, deadline: Deadline, lock_dir: Path | None = None) -> None:
    """Enable a terminal that an earlier session may have left disabled. Raises TerminalError."""
    with Conversation(device, deadline=deadline, lock_dir=lock_dir) as conversation:
        conversation.enable()


def reach(device: Device, *, deadline: Deadline, lock_dir: Path | None = None) -> Info:
    """Find out whether a terminal answers, without disabling it. Raises TerminalError."""
    with open_session(device, deadline=deadline, known=Known(), disable_for=None, lock_dir=lock_dir) as session:
        return session.info()


class Session(Conversation):
    """One conversation. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    _table: UserTable | None = None
    _sizes = Sizes()
    _added = 0

    # -- users ---------------------------------------------------------------------------------------------------

    def users(self, *, again: bool = False) -> UserTable:
        """The terminal's users, read once for the session, or `again`.

        Raises DeviceRejected (`table`) when the table cannot be read, or reads as empty where users are counted.
        """
        if self._table is None or again:
            self._table = self._read_users()
        return self._table

    def sizes(self) -> Sizes:
        """The terminal's own counts, asked now; all None where it does not tell."""
        answer = self._client.request(Command.GET_FREE_SIZES)
        self._sizes = Sizes.parse(answer.data) if answer.command == Code.OK else Sizes()
        self._added = 0
        return self._sizes

    def count(self) -> int | None:
        """How many users the terminal counts now; None where it does not tell."""
        return self.sizes().users

    def fit(self, fields: UserFields) -> UserFields:
        """The user as this terminal will hold it. Raises InvalidField with every fault."""
        return self._fit(fields, self.users().record_size)

    def add_user(self, fields: UserFields, uid: int) -> None:
        """Write a new user; `refresh` once after the last. Raises InvalidField, DeviceFull, DeviceRejected."""
        table = self.users()
        if self._write(self._encode(fields, uid, table.record_size)):
            size = table.record_size
        elif table.guessed and not self._sizes.is_full(added=self._added):
            size = self._add_in_other_size(fields, uid, table)
        else:
            raise self._refused()
        if table.guessed:
            table.settle(size)
            self.known = replace(self.known, record_size=size)
        self._added += 1

    def change_user(self, raw: bytes) -> None:
        """Write a user's record, of the uid that stands in it, bit for bit."""
        if not self._write(raw):
            raise self._client.rejected("USER_WRQ")

    def delete_user(self, uid: int) -> None:
        """Delete a user; the templates go with the user."""
        self._command(Command.DELETE_USER, struct.pack("<H", uid))

    def refresh(self) -> bool:
        """Make the terminal use what was written. A refusal is no failure: what was written is written."""
        refreshed = self._client.request(Command.REFRESHDATA).command == Code.OK
        if not refreshed:
            log.warning("device=%s refused to refresh its data, answer %d", self.device.id, self._client.answer)
        return refreshed

    def _read_users(self) -> UserTable:
        """Read until table and count agree: somebody may be adding a user at the keypad between the two."""
        found: UserTable | None = None
        detail = ""
        for _ in range(_READINGS):
            before = found
            try:
                found = self._read_table()
            except _Unreadable as error:
                detail = str(error)
                continue
            if self._sizes.users in (None, len(found)) or (before is not None and found.same_records(before)):
                break
        if found is None:
            raise self._unreadable(detail)
        if not len(found) and self._sizes.users:
            # Taken as empty, the next user would be written over the first of those who are there.
            raise self._unreadable(f"it reads as empty, but counts {self._sizes.users} users")
        return found

    def _read_table(self) -> UserTable:
        raw = self._read(Command.USERTEMP_RRQ, _USERS)
        count = self.sizes().users
        records = _records(raw, count)
        size = self._record_size(records, count)
        # Datagrams carry no number, and some cut a table just between records: those that changed places on the
        # way make a table that looks right. Where the uids do not tell, a second reading in other datagrams does.
        in_doubt = self.device.transport == "udp" and not in_order(records, record_size=size)
        if in_doubt and self._read(Command.USERTEMP_RRQ, _USERS, shifted=True) != raw:
            raise _Unreadable("it reads differently each time")
        if records and self.device.record == "auto":
            self.known = replace(self.known, record_size=size)
        return UserTable(
            records,
            record_size=size,
            encoding=self.device.encoding,
            host=self.device.host,
            port=self.device.port,
            guessed=not records and self.device.record == "auto",
        )

    def _record_size(self, records: bytes, count: int | None) -> RecordSize:
        if self.device.record != "auto":
            size: RecordSize | None = None if len(records) % self.device.record else self.device.record
        elif records:
            size = record_size_of(records, count=count, known=self.known.record_size, encoding=self.device.encoding)
        else:
            size = self.known.record_size or (72 if self.device.transport == "tcp" else 28)
        if size is None:
            users = "users" if count is None else f"{count} users"
            raise _Unreadable(f"{len(records)} bytes are no records of {users}")
        return size

    def _read(self, command: Command, table: int, *, shifted: bool = False) -> bytes:
        try:
            data, _size = self._client.read_with_buffer(command, table, shifted=shifted)
        except ZKErrorResponse:
            raise self._unreadable(f"answer {self._client.answer}") from None
        return data

    def _unreadable(self, detail: str) -> DeviceRejected:
        return DeviceRejected("table", host=self.device.host, port=self.device.port, detail=detail)

    def _fit(self, fields: UserFields, size: RecordSize) -> UserFields:
        return fit(
            fields,
            record_size=size,
            encoding=self.device.encoding,
            user_id_width=self._user_id_width() if size == 72 else WIDEST_USER_ID,
            name_overflow=self.device.name_overflow,
        )

    def _user_id_width(self) -> int:
        """Bytes of a user_id: as configured, as remembered, or as the terminal says; 24 where it will not say."""
        if self.device.user_id_width != "auto":
            return self.device.user_id_width
        if self.known.user_id_width is None:
            told = self.option("~PIN2Width") or ""
            widths = {str(width): width for width in range(1, WIDEST_USER_ID + 1)}
            self.known = replace(self.known, user_id_width=widths.get(told, WIDEST_USER_ID))
        return self.known.user_id_width or WIDEST_USER_ID

    def _encode(self, fields: UserFields, uid: int, size: RecordSize) -> bytes:
        fitted = self._fit(fields, size)  # the size may have turned out to be another since the caller did this
        return encode(fitted, uid=uid, group=self.device.group, record_size=size, encoding=self.device.encoding)

    def _write(self, raw: bytes) -> bool:
        return self._client.request(Command.USER_WRQ, raw).command == Code.OK

    def _add_in_other_size(self, fields: UserFields, uid: int, table: UserTable) -> RecordSize:
        """An empty terminal does not tell its record size, but it refuses the wrong one (fananimi/pyzk#128)."""
        refused = self._client.rejected("USER_WRQ")
        size: RecordSize = 28 if table.record_size == 72 else 72
        try:
            raw = self._encode(fields, uid, size)
        except InvalidField:
            if self.known.record_size is None:
                raise
            raise refused from None  # it has used the other size before: that was not the reason
        if not self._write(raw):
            raise refused
        return size

    def _refused(self) -> TerminalError:
        if self._sizes.is_full(added=self._added):
            return DeviceFull(host=self.device.host, port=self.device.port)
        return self._client.rejected("USER_WRQ")

    # -- the terminal itself -------------------------------------------------------------------------------------

    def info(self) -> Info:
        """A few facts by which a person knows the terminal."""
        serial_number = self.option("~SerialNumber") or ""
        device_name = self.option("~DeviceName") or ""
        answer = self._client.request(Command.GET_VERSION)
        firmware = _text(answer.data) if answer.command == Code.OK else ""
        sizes = self.sizes()
        return Info(serial_number, device_name, firmware, sizes.users, sizes.users_capacity)

    def option(self, name: str) -> str | None:
        """A setting by its name, as text; None where the terminal does not know it."""
        answer = self._client.request(Command.OPTIONS_RRQ, name.encode() + b"\0")
        if answer.command != Code.OK:
            return None
        told = _text(answer.data)
        # Some terminals answer with the bare value; pyzk 0.9 takes that too.
        return told.partition("=")[2] if "=" in told else told


def _records(raw: bytes, count: int | None) -> bytes:
    """The records of a table, without the length before them (zk-protocol `data.md`)."""
    if len(raw) < 4:
        if count == 0:
            return b""
        raise _Unreadable(f"{len(raw)} bytes")
    total = int.from_bytes(raw[:4], "little")
    if len(raw) - 4 < total or (total == 0 and len(raw) > 4):
        raise _Unreadable(f"{len(raw) - 4} bytes where {total} were announced")
    return raw[4 : 4 + total]


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()
