"""A simulated terminal, frame by frame: a table of users, a log, being disabled, and what it does wrong.

Sources: zk-protocol (`data.md`, `other.md`, `realtime.md`) and pyzk 0.9. The whole protocol is in zkbridge/simulator,
which speaks to sockets. This terminal knows what the simulated bridge asks for, and has no sockets.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from torture.simulated.machine import here
from torture.simulated.wire import Wire
from zkbridge.terminal.protocol.codes import Code, Command, Event
from zkbridge.terminal.protocol.wire import Frame, Garbled

#: A record of 72 bytes: uid, privilege, password, name, card, group, time zones, user id.
USER = struct.Struct("<HB8s24sIB8s24s")
PUNCH = struct.Struct("<H24sBIB8x")
#: Users that it can hold.
CAPACITY = 300
#: A longer table comes in pieces.
_ONE_ANSWER = 800
_EPOCH = datetime(2030, 1, 31, 8, 0, 0)  # noqa: DTZ001 - a terminal's wall clock has no zone


class Person(NamedTuple):
    """A user on the terminal."""

    uid: int
    user_id: str
    name: str


class Written(NamedTuple):
    """What the table of users came to hold: `name` is None where the user was deleted."""

    at: float
    user_id: str
    name: str | None
    disabled: bool


@dataclass
class Terminal:
    """The terminal. `faults` are met one after the other by the next requests that they fit; see `FAULTS`."""

    name: str
    tell: Callable[[str], None]
    takes_seconds: bool = True  #: whether DISABLE may carry its time
    users: dict[int, bytes] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    history: list[Written] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)  #: the names of those who were added at the keypad
    asked_for: dict[str, float] = field(default_factory=dict)  #: by name, when the bridge first sent that record
    met: list[str] = field(default_factory=list)  #: the faults that were met since the world last looked
    disabled_until: float = 0.0
    away_until: float = 0.0
    silent: bool = False  #: while it is away: no answer at all, where it otherwise refuses
    channels: list[Wire] = field(default_factory=list)
    events_left_out: int = 0  #: punches of which it sent no event
    _table: bytes = b""

    @property
    def disabled(self) -> bool:
        """Whether people are kept off it."""
        return here().now < self.disabled_until

    @property
    def away(self) -> bool:
        """Whether it cannot be reached."""
        return here().now < self.away_until

    def people(self) -> list[Person]:
        """Everybody on it."""
        return [_person(raw) for raw in self.users.values()]

    def leave(self, seconds: float, *, silent: bool) -> None:
        """Be away for some seconds."""
        self.away_until, self.silent = here().now + seconds, silent
        if not silent:
            self.drop_all()

    def restart(self) -> None:
        """Drop every connection, and let people in."""
        self.drop_all()
        self.disabled_until = 0.0
        self.away_until, self.silent = here().now + 2.0, False

    def drop_all(self) -> None:
        """Reset every connection."""
        for channel in list(self.channels):
            channel.push(ConnectionResetError())

    def add_at_keypad(self, name: str) -> bool:
        """Somebody is added at the keypad, which is not possible while it is disabled."""
        if self.disabled or self.away:
            return False
        uid = max(self.users, default=0) + 1
        self.own.append(name)
        self.users[uid] = USER.pack(uid, 0, b"", name.encode(), 0, 1, b"", str(900_000 + uid).encode())
        return True

    def punch(self, *, event: bool = True) -> None:
        """Somebody punches, and those who listen hear of it; without an event they hear of the next one, at once."""
        when = _EPOCH + timedelta(seconds=len(self.log))
        number = (((when.year - 2000) * 12 + when.month - 1) * 31 + when.day - 1) * 86400
        number += (when.hour * 60 + when.minute) * 60 + when.second
        self.log.append(PUNCH.pack(1, b"7", 1, number, 0))
        moment = bytes([when.year - 2000, when.month, when.day, when.hour, when.minute, when.second])
        if not event:
            self.tell(f"{self.name} sends no event of it, and one of the next")
            self.events_left_out += 1
            self.punch()
            return
        told = struct.pack("<24sBB6s", b"7", 1, 0, moment)
        for channel in self.channels:
            if channel.listens:
                channel.push(Frame(Command.EVENT, Event.PUNCH, 0, told))

    def note_sent(self, record: bytes) -> None:
        """The bridge has sent a user's record."""
        self.asked_for.setdefault(_person(record).name, here().now)

    def answer(self, request: Frame, channel: Wire) -> None:
        """Do what a frame asks for, and answer it."""
        if self.away:
            if not self.silent:
                channel.push(ConnectionResetError())
            return
        fault = self._fault(request.command)
        if fault in ("lost", "reset"):
            if fault == "reset":
                channel.push(ConnectionResetError())
            return
        if fault == "refuse":
            channel.push(_reply(request, Code.ERROR))
            return
        replies = self._do(request, channel, fault)
        if fault == "silent":
            return
        if fault == "reset after":
            channel.push(ConnectionResetError())
            return
        for reply in replies:
            channel.push(Garbled("a wrong checksum") if fault == "garbled" else reply)

    def _fault(self, command: int) -> str | None:
        if not self.faults or command in (Command.CONNECT, Command.EXIT, Code.OK):
            return None
        kinds = FITS.get(self.faults[0])
        if kinds is not None and command not in kinds:
            return None
        fault = self.faults.popleft()
        self.met.append(fault)
        self.tell(f"{self.name} meets '{fault}' at {_name(command)}")
        return next((plain for plain in _PLAIN if fault.startswith(plain)), fault)

    def _do(self, request: Frame, channel: Wire, fault: str | None) -> list[Frame]:
        command = request.command
        if command == Code.OK:  # an event was acknowledged
            return []
        if command in (Command.EXIT, _LISTEN):
            channel.listens = command == _LISTEN
        if command == Command.CONNECT:
            return [_reply(request._replace(session=channel.number % 60_000), Code.OK)]
        if command in (Command.USER_WRQ, Command.DELETE_USER):
            return [self._write(request, kept=fault != "not kept")]
        if command == Command.GET_FREE_SIZES:
            return [_reply(request, Code.OK, self._sizes(fault))]
        if command == Command.PREPARE_BUFFER:
            return [self._prepare(request, fault)]
        return [self._do_simply(request)]

    def _do_simply(self, request: Frame) -> Frame:
        simple: dict[int, Callable[[Frame], Frame]] = {
            Command.DISABLE: self._disable,
            Command.ENABLE: self._enable,
            Command.OPTIONS_RRQ: self._option,
            Command.READ_BUFFER: self._piece,
            Command.GET_TIME: lambda asked: _reply(asked, Code.OK, struct.pack("<I", 800_000_000)),
        }
        if request.command in simple:
            return simple[request.command](request)
        return _reply(request, Code.OK if request.command in _OBEYED else Code.UNKNOWN)

    def _enable(self, request: Frame) -> Frame:
        self.tell(f"{self.name} lets people in")
        self.disabled_until = 0.0
        return _reply(request, Code.OK)

    def _option(self, request: Frame) -> Frame:
        asked = request.data.rstrip(b"\0")
        if asked != b"~SerialNumber":
            return _reply(request, Code.UNKNOWN)
        return _reply(request, Code.OK, asked + b"=" + self.name.encode() + b"\0")

    def _piece(self, request: Frame) -> Frame:
        start, size = struct.unpack("<ii", request.data)
        return _reply(request, Command.DATA, self._table[start : start + size])

    def _disable(self, request: Frame) -> Frame:
        if request.data and not self.takes_seconds:
            return _reply(request, Code.ERROR)
        seconds = struct.unpack("<I", request.data)[0] if request.data else float("inf")
        self.tell(f"{self.name} keeps people off for {seconds} s")
        self.disabled_until = here().now + seconds
        return _reply(request, Code.OK)

    def _write(self, request: Frame, *, kept: bool) -> Frame:
        if request.command == Command.DELETE_USER:
            (uid,) = struct.unpack("<H", request.data)
            if uid not in self.users:
                return _reply(request, Code.ERROR)
            if kept:
                gone = _person(self.users.pop(uid))
                self._note(gone.user_id, None)
            return _reply(request, Code.OK)
        person = _person(request.data)
        if not kept:
            return _reply(request, Code.OK)
        before = self.users.get(person.uid)
        if before is not None and _person(before).user_id != person.user_id:
            self.wrongs.append(f"{person.name} is written over {_person(before).name} on {self.name}")
        self.users[person.uid] = request.data
        if sum(each.user_id == person.user_id for each in self.people()) > 1:
            self.wrongs.append(f"user {person.user_id} is on {self.name} twice")
        self._note(person.user_id, person.name)
        return _reply(request, Code.OK)

    def _note(self, user_id: str, name: str | None) -> None:
        self.tell(f"{self.name}: user {user_id} is now {name or 'deleted'}")
        self.history.append(Written(here().now, user_id, name, self.disabled))
        if not self.disabled:
            self.wrongs.append(f"user {user_id} is written on {self.name} while people may use it")

    def _sizes(self, fault: str | None) -> bytes:
        if fault == "short count":
            return b"\0" * 8
        words = [0] * 20
        words[4], words[8] = len(self.users), len(self.log)
        words[14], words[15], words[16] = CAPACITY, CAPACITY, 100_000
        words[17], words[18], words[19] = CAPACITY, CAPACITY - len(self.users), 100_000 - len(self.log)
        if fault == "wrong count":
            words[4] += 50
        return struct.pack("<20i", *words)

    def _prepare(self, request: Frame, fault: str | None) -> Frame:
        _, command, _, _ = struct.unpack("<bhii", request.data)
        records = list(self.log) if command == Command.ATTLOG_RRQ else list(self.users.values())
        if fault == "short table" and records:
            records = records[:-1]
        table = b"".join(records)
        self._table = len(table).to_bytes(4, "little") + table
        if fault == "cut table":
            self._table = self._table[:-7]
        if len(self._table) <= _ONE_ANSWER:
            return _reply(request, Command.DATA, self._table)
        return _reply(request, Code.OK, b"\0" + len(self._table).to_bytes(4, "little"))


#: REG_EVENT, which has the number of the events themselves; and what is answered by OK alone.
_LISTEN = 500
_OBEYED = (_LISTEN, Command.EXIT, Command.REFRESHDATA, Command.FREE_DATA, Command.GET_VERSION)
_WRITES = (Command.USER_WRQ, Command.DELETE_USER)
_READS = (Command.PREPARE_BUFFER,)
#: What a request may meet, and which commands; None: any.
FITS: dict[str, tuple[int, ...] | None] = {
    "lost": None,  # it never arrives
    "silent": None,  # it is done, and the answer never arrives
    "reset": None,  # the connection breaks before it is done
    "reset after": None,  # it is done, and the connection breaks
    "garbled": None,  # it is done, and the answer is cut
    "refuse": None,
    "not kept": _WRITES,  # it is confirmed, and not done
    "lost write": _WRITES,
    "silent write": _WRITES,
    "reset after write": _WRITES,
    "short table": _READS,
    "cut table": _READS,
    "short count": (Command.GET_FREE_SIZES,),
    "wrong count": (Command.GET_FREE_SIZES,),
    "silent disable": (Command.DISABLE,),
    "lost enable": (Command.ENABLE,),
    "silent refresh": (Command.REFRESHDATA,),
}

#: Faults that others are a special case of; a longer one before the one that it begins with.
_PLAIN = ("lost", "silent", "reset after")


def _reply(request: Frame, command: int, data: bytes = b"") -> Frame:
    return Frame(command, request.session, request.reply_id, data)


def _name(command: int) -> str:
    known = {int(each): each.name for each in Command}
    return known.get(command, f"command {command}")


def _person(raw: bytes) -> Person:
    uid, _, _, name, _, _, _, pin = USER.unpack(raw)
    return Person(uid, _text(pin), _text(name))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode()
