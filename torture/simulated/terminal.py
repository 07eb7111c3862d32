"""A simulated terminal, frame by frame: a table of users, a log, being disabled, and what it does wrong.

Sources: zk-protocol (`data.md`, `other.md`, `realtime.md`) and pyzk 0.9. The whole protocol is in zkbridge/simulator,
which speaks to sockets. This terminal knows what the simulated bridge asks for, and has no sockets.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from torture.simulated.disabled import DisabledTimes
from torture.simulated.faults import FITS, PLAIN
from torture.simulated.machine import here
from torture.simulated.punch_log import PunchLog
from torture.simulated.user_record import USER, Person, Written, person_of
from torture.simulated.wire import Wire
from zkbridge.terminal.protocol.codes import Code, Command, Event
from zkbridge.terminal.protocol.wire import Frame, Garbled

#: Users that it can hold.
CAPACITY = 300
#: A longer table comes in pieces.
_ONE_ANSWER = 800


@dataclass
class Terminal:
    """The terminal. `faults` are met one after the other by the next requests that they fit; see `FITS`."""

    name: str
    tell: Callable[[str], None]
    takes_seconds: bool = True  #: whether DISABLE may carry its time
    users: dict[int, bytes] = field(default_factory=dict)
    log: PunchLog = field(default_factory=PunchLog)
    faults: deque[str] = field(default_factory=deque)
    history: list[Written] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)  #: the names of those who were added at the keypad
    asked_for: dict[str, float] = field(default_factory=dict)  #: by name, when the bridge first sent that record
    times: DisabledTimes = field(default_factory=DisabledTimes)
    instead_of_enable: Callable[[], object] | None = None  #: what happens when it is to be enabled next
    at_close: Callable[[], object] | None = None  #: what happens when the bridge closes a connection next
    slow_until: float = 0.0
    slow_s: float = 0.0  #: seconds that each answer takes until then
    slowed: list[float] = field(default_factory=list)  #: when it became slow, and when it was quick again
    away_until: float = 0.0
    silent: bool = False  #: while it is away: no answer at all, where it otherwise refuses
    openings: list[tuple[float, int]] = field(default_factory=list)  #: when its door was opened, and for how long
    channels: list[Wire] = field(default_factory=list)
    fates: deque[str] = field(default_factory=deque)  #: what becomes of the next datagrams, see `wire.FATES`
    events_left_out: int = 0  #: punches of which it sent no event
    _table: bytes = b""
    _hides: bool = False  #: the table that it showed last is short

    @property
    def disabled(self) -> bool:
        """Whether people are kept off it."""
        return self.times.is_on

    @property
    def away(self) -> bool:
        """Whether it cannot be reached."""
        return here().now < self.away_until

    def people(self) -> list[Person]:
        """Everybody on it."""
        return [person_of(raw) for raw in self.users.values()]

    def leave(self, seconds: float, *, silent: bool) -> None:
        """Be away for some seconds."""
        self.away_until, self.silent = here().now + seconds, silent
        self.times.disturbed += [here().now, self.away_until]
        if not silent:
            self.drop_all()

    def restart(self) -> None:
        """Drop every connection, and let people in."""
        self.times.end()
        self.leave(2.0, silent=False)

    def be_slow(self, seconds: float, *, lasting: float) -> None:
        """Take so many seconds for each answer, for a while."""
        self.slow_s, self.slow_until = seconds, here().now + lasting
        self.slowed += [here().now, self.slow_until]

    def come_to_order(self) -> None:
        """From here on nothing is wrong with it; where its log has shrunk, connections are made anew.

        Until then a log that was cleared and has as many punches again looks as if nothing were missing.
        """
        if self.log.shrank:
            self.restart()
        self.log.come_to_order()
        self.faults.clear()
        self.instead_of_enable = self.at_close = None
        self.fates.clear()
        if self.away:
            self.times.disturbed.append(here().now)
        self.away_until = self.slow_until = 0.0

    def drop_all(self) -> None:
        """Reset every connection."""
        for channel in list(self.channels):
            channel.sever()

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
        number = self.log.add()
        if number is None:
            self.tell(f"the log of {self.name} is full")
            return
        if not event:
            self.tell(f"{self.name} sends no event of it, and one of the next")
            self.events_left_out += 1
            self.punch()
            return
        for channel in self.channels:
            if channel.listens:
                channel.push(Frame(Command.EVENT, Event.PUNCH, 0, self.log.event_of(number)))

    def clear_log(self, *, at_terminal: bool) -> bool:
        """A person, who is kept off while it is disabled, or another program clears the log; whether that worked."""
        if self.disabled if at_terminal else self.away:
            return False
        self.log.clear()
        return True

    def note_sent(self, record: bytes) -> None:
        """The bridge has sent a user's record."""
        self.asked_for.setdefault(person_of(record).name, here().now)

    def answer(self, request: Frame, channel: Wire) -> None:
        """Do what a frame asks for, and answer it."""
        if request.command == Command.ENABLE and self.instead_of_enable is not None and not self.away:
            happen, self.instead_of_enable = self.instead_of_enable, None
            happen()
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
            channel.push(reply(request, Code.ERROR))
            return
        replies = self._do(request, channel, fault)
        if fault == "silent":
            return
        if fault == "reset after":
            channel.push(ConnectionResetError())
            return
        for answer in replies:
            what = Garbled("a wrong checksum") if fault == "garbled" else answer
            channel.push(what, delay=self.slow_s if here().now < self.slow_until else 0.0)

    def _fault(self, command: int) -> str | None:
        if not self.faults or command in (Command.CONNECT, Command.EXIT, Code.OK):
            return None
        kinds = FITS.get(self.faults[0])
        if kinds is not None and command not in kinds:
            return None
        if self._hides and command == Command.GET_FREE_SIZES and self.faults[0] == "refuse":
            return None  # nobody could know of a user whom neither the table nor the count shows
        fault = self.faults.popleft()
        self.times.disturbed.append(here().now)
        self.tell(f"{self.name} meets '{fault}' at {_name(command)}")
        return next((plain for plain in PLAIN if fault.startswith(plain)), fault)

    def _do(self, request: Frame, channel: Wire, fault: str | None) -> list[Frame]:
        command = request.command
        if command == Code.OK:
            self.log.note_acknowledged(channel.number)
            return []
        if command in (Command.EXIT, _LISTEN):
            channel.listens = command == _LISTEN
        if command == Command.CONNECT:
            return [reply(request._replace(session=channel.number % 60_000), Code.OK)]
        if command == Command.READ_BUFFER:
            return self._piece(request)
        return [self._do_simply(request, channel, fault)]

    def _do_simply(self, request: Frame, channel: Wire, fault: str | None) -> Frame:
        simple: dict[int, Callable[[Frame], Frame]] = {
            Command.DISABLE: self._disable,
            Command.ENABLE: self._enable,
            Command.UNLOCK: self._unlock,
            Command.OPTIONS_RRQ: self._option,
            Command.GET_TIME: lambda asked: reply(asked, Code.OK, struct.pack("<I", 800_000_000)),
            Command.USER_WRQ: lambda asked: self._write(asked, kept=fault != "not kept"),
            Command.DELETE_USER: lambda asked: self._delete(asked, kept=fault != "not kept"),
            Command.GET_FREE_SIZES: lambda asked: reply(asked, Code.OK, self._sizes(fault, channel)),
            Command.PREPARE_BUFFER: lambda asked: self._prepare(asked, fault),
        }
        if request.command in simple:
            return simple[request.command](request)
        return reply(request, Code.OK if request.command in _OBEYED else Code.UNKNOWN)

    def _enable(self, request: Frame) -> Frame:
        self.tell(f"{self.name} lets people in")
        self.times.end()
        return reply(request, Code.OK)

    def _unlock(self, request: Frame) -> Frame:
        (seconds,) = struct.unpack("<I", request.data)
        self.tell(f"{self.name} opens its door for {seconds} s")
        self.openings.append((here().now, seconds))
        return reply(request, Code.OK)

    def _option(self, request: Frame) -> Frame:
        asked = request.data.rstrip(b"\0")
        if asked != b"~SerialNumber":
            return reply(request, Code.UNKNOWN)
        return reply(request, Code.OK, asked + b"=" + self.name.encode() + b"\0")

    def _piece(self, request: Frame) -> list[Frame]:
        start, size = struct.unpack("<ii", request.data)
        return self._bulk(request, self._table[start : start + size])

    def _bulk(self, request: Frame, data: bytes) -> list[Frame]:
        return [reply(request, Command.DATA, data)]

    def _disable(self, request: Frame) -> Frame:
        if request.data and not self.takes_seconds:
            return reply(request, Code.ERROR)
        seconds = struct.unpack("<I", request.data)[0] if request.data else None
        self.tell(f"{self.name} keeps people off {'until it is enabled' if seconds is None else f'for {seconds} s'}")
        self.times.begin(seconds)
        return reply(request, Code.OK)

    def _delete(self, request: Frame, *, kept: bool) -> Frame:
        (uid,) = struct.unpack("<H", request.data)
        if uid not in self.users:
            return reply(request, Code.ERROR)
        if kept:
            self._note(person_of(self.users.pop(uid)).user_id, None, blocked=False)
        return reply(request, Code.OK)

    def _write(self, request: Frame, *, kept: bool) -> Frame:
        person = person_of(request.data)
        if not kept:
            return reply(request, Code.OK)
        before = self.users.get(person.uid)
        if before is not None and person_of(before).user_id != person.user_id:
            self.wrongs.append(f"{person.name} is written over {person_of(before).name} on {self.name}")
        self.users[person.uid] = request.data
        if sum(each.user_id == person.user_id for each in self.people()) > 1:
            self.wrongs.append(f"user {person.user_id} is on {self.name} twice")
        self._note(person.user_id, person.name, blocked=person.blocked)
        return reply(request, Code.OK)

    def _note(self, user_id: str, name: str | None, *, blocked: bool) -> None:
        self.tell(f"{self.name}: user {user_id} is now {name or 'deleted'}{', blocked' if blocked else ''}")
        self.history.append(Written(here().now, user_id, name, self.disabled, blocked))
        if not self.disabled:
            self.wrongs.append(f"user {user_id} is written on {self.name} while people may use it")

    def _sizes(self, fault: str | None, channel: Wire) -> bytes:
        if fault == "short count":
            return b"\0" * 8
        words = [0] * 20
        words[4], words[8] = len(self.users), self.log.count(channel.number)
        words[14], words[15], words[16] = CAPACITY, CAPACITY, self.log.capacity
        words[17], words[18], words[19] = CAPACITY, CAPACITY - len(self.users), self.log.capacity - words[8]
        if fault == "wrong count":
            words[4] += 50
        return struct.pack("<20i", *words)

    def _prepare(self, request: Frame, fault: str | None) -> Frame:
        _, command, _, _ = struct.unpack("<bhii", request.data)
        self._hides = fault == "short table"
        if command == Command.ATTLOG_RRQ:
            records = self.log.table(less=self._hides)
        else:
            records = list(self.users.values())[: len(self.users) - self._hides]
        table = b"".join(records)
        self._table = len(table).to_bytes(4, "little") + table
        if fault == "cut table":
            self._table = self._table[:-7]
        if len(self._table) <= _ONE_ANSWER:
            return reply(request, Command.DATA, self._table)
        return reply(request, Code.OK, b"\0" + len(self._table).to_bytes(4, "little"))


#: REG_EVENT, which has the number of the events themselves; and what is answered by OK alone.
_LISTEN = 500
_OBEYED = (_LISTEN, Command.EXIT, Command.REFRESHDATA, Command.FREE_DATA, Command.GET_VERSION)


def reply(request: Frame, command: int, data: bytes = b"") -> Frame:
    """A frame that answers a request."""
    return Frame(command, request.session, request.reply_id, data)


def _name(command: int) -> str:
    known = {int(each): each.name for each in Command}
    return known.get(command, f"command {command}")
