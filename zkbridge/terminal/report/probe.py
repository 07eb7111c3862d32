"""Ask a terminal what can be asked without changing anything, one question at a time.

Nothing here writes, deletes, disables or opens a door: `trial` does that, where a person has agreed to it. Requests
that no document has a terminal answer for are only those that pyzk 0.9 sends as well (2001, 65535).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceAuthFailed
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.report import options, tables
from zkbridge.terminal.report.line import Ended, Line
from zkbridge.terminal.report.recording import Exchange, Recording
from zkbridge.terminal.report.tables import TEMPLATES, USERS, Table, UserKey

#: Bytes asked for by one 1504; the bridge and pyzk ask for as many.
PIECE = {"tcp": 0xFFC0, "udp": 16 * 1024}
#: Of a table that needs more than one piece, this much of the second is read too: a piece that does not begin at 0.
SECOND_PIECE = 1024
#: Bytes of a table that a report keeps.
MOST_KEPT = 66 * 1024
#: Direct reads cannot be asked for in pieces, so a large table is not read that way.
_MOST_DIRECT = 64 * 1024
#: Commands that read, by documents alone (zk-protocol `access.md`), and that nothing of the bridge sends.
_USER_GROUP, _USER_ZONES, _GROUP_ZONES, _ZONE, _COMBINATION = 21, 23, 25, 27, 29
_STATE, _PIN_WIDTH, _VERIFY_MODE = 64, 69, 80


@dataclass
class Seen:
    """What the probe has learnt that it needs for what it asks next."""

    sizes: bytes = b""
    record: int | None = None
    users: list[UserKey] = field(default_factory=list)
    fingers: list[tuple[int, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    clock_offset_s: int | None = None


class Probe:
    """One terminal being asked. `tell` is called with each step; `key` is called when the terminal asks for its key."""

    def __init__(self, device: Device, *, key: Callable[[], int], tell: Callable[[str], object]) -> None:
        self.device = device
        self.seen = Seen()
        self._key = key
        self._tell = tell
        self._exchanges: list[Exchange] = []

    def recording(self, *, wrote: bool = False) -> Recording:
        """What was recorded so far."""
        day = datetime.now(UTC).date().isoformat()
        return Recording(day, tuple(self._exchanges), wrote, self.seen.clock_offset_s)

    def read_only(self, transports: tuple[str, ...] = ("tcp", "udp")) -> None:
        """Ask everything that changes nothing, over each transport.

        Raises DeviceAuthFailed when the key is wrong, before anything else is asked.
        """
        for transport in transports:
            self.converse(transport)
        if "tcp" in self.seen.lines:
            self._side_questions()

    def converse(self, transport: str) -> None:
        """Ask over one transport everything that needs no connection of its own. Raises DeviceAuthFailed."""
        with self.line(transport) as line:
            if line is not None and self.greet(line):
                self.seen.lines.append(transport)
                self._converse(line)

    def knock(self, transport: str) -> None:
        """Only find out whether the terminal answers CONNECT over this transport."""
        with self.line(transport) as line:
            if line is not None:
                answer = line.ask("connect", Command.CONNECT)
                if answer.code is not None:
                    line.session = answer.own[0].session
                    line.ask("exit", Command.EXIT)

    @contextmanager
    def line(self, name: str) -> Iterator[Line | None]:
        """A connection by this name, which begins with its transport; None where the terminal cannot be reached."""
        udp = name.startswith("udp")
        address = (self.device.host, self.device.port)
        try:
            line = Line(name, address, udp=udp, timeout=self.device.timeout, keep=self._exchanges.append)
        except Ended as ended:
            self._exchanges.append(Exchange(name, "open", None, end=ended.why))
            yield None
            return
        with line:
            yield line

    def greet(self, line: Line) -> bool:
        """CONNECT, and AUTH where it is asked for; whether the terminal lets us in."""
        self._tell(f"{line.name}: connect")
        answer = line.ask("connect", Command.CONNECT)
        if answer.code is None:
            return False
        line.session = answer.own[0].session
        if answer.code == Code.UNAUTH:
            key = wire.scramble_key(self._key(), line.session)
            if line.ask("auth", Command.AUTH, key, secret=True).code != Code.OK:
                raise DeviceAuthFailed(host=self.device.host, port=self.device.port)
            return True
        return answer.code == Code.OK

    def read_table(self, line: Line, table: Table, *, whole: bool = False) -> bytes:
        """A table by 1503: its first piece and the start of its second, or all of it.

        The report keeps whole records, and of a large table only the first.
        """
        step = f"table {table.name}"
        begun = len(self._exchanges)
        answer = line.ask(step, Command.PREPARE_BUFFER, table.request)
        if answer.code == Command.DATA:
            return answer.data
        if answer.code != Code.OK or len(answer.data) < 5:
            return b""
        (size,) = struct.unpack_from("<I", answer.data, 1)
        read = bytearray()
        most = PIECE["udp" if line.udp else "tcp"]
        for number, start in enumerate(range(0, size, most)):
            asked = min(most, size - start)
            if number and not whole:
                asked = min(asked, SECOND_PIECE)
            piece = struct.pack("<ii", start, asked)
            read += line.ask(f"{step} piece", Command.READ_BUFFER, piece).data
            if line.over or (number and not whole):
                break
        self._keep_only(begun, tables.whole_records(table, bytes(read[:MOST_KEPT]), self.seen.sizes))
        line.ask("free", Command.FREE_DATA)
        return bytes(read)

    def _keep_only(self, begun: int, kept: int) -> None:
        """Cut what the last exchanges brought of a table to so many bytes."""
        for number in range(begun, len(self._exchanges)):
            answers = []
            for packet in self._exchanges[number].answers:
                if packet.command == Command.DATA:
                    answers.append(packet.cut(kept))
                    kept = max(0, kept - len(packet.data))
                else:
                    answers.append(packet)
            self._exchanges[number] = replace(self._exchanges[number], answers=tuple(answers))

    # The main conversation of a transport

    def _converse(self, line: Line) -> None:
        for part in (self._identity, self._settings, self._tables, self._single_reads, self._unknown):
            if line.over:
                return
            part(line)
        line.ask("exit", Command.EXIT)

    def _identity(self, line: Line) -> None:
        self._tell(f"{line.name}: version, sizes, clock, state")
        line.ask("version", Command.GET_VERSION)
        self.seen.sizes = line.ask("sizes", Command.GET_FREE_SIZES).data
        before = datetime.now()  # noqa: DTZ005 - a terminal's clock has no zone either
        clock = line.ask("clock", Command.GET_TIME).data
        between = before + (datetime.now() - before) / 2  # noqa: DTZ005 - as above
        self.seen.clock_offset_s = _offset(_moment(clock), between)
        line.ask("state", _STATE)
        line.ask("door", Command.DOORSTATE_RRQ)
        line.ask("pin width", _PIN_WIDTH)

    def _settings(self, line: Line) -> None:
        self._tell(f"{line.name}: {len(options.NAMES)} settings")
        for name in (*options.NAMES, options.UNKNOWN):
            if line.over:
                return
            line.ask(f"option {name}", Command.OPTIONS_RRQ, name.encode() + b"\0")

    def _tables(self, line: Line) -> None:
        for table in tables.TABLES:
            if line.over:
                return
            self._tell(f"{line.name}: table of {table.name}")
            read = self.read_table(line, table, whole=table is USERS)
            if table is USERS:
                self.seen.record = tables.user_record(
                    tables.announced(read) or 0, tables.count_in(self.seen.sizes, USERS)
                )
                self.seen.users = list(tables.user_keys(read, self.seen.record)) if self.seen.record else []
            elif table is TEMPLATES:
                self.seen.fingers = tables.finger_keys(read)

    def _single_reads(self, line: Line) -> None:
        self._tell(f"{line.name}: direct reads, one template, groups and time zones")
        if self._is_small(USERS, 72):
            line.ask("direct users", Command.USERTEMP_RRQ, b"\x05")
        if self._is_small(tables.PUNCHES, 49):
            line.ask("direct punches", Command.ATTLOG_RRQ)
        if self.seen.fingers:
            uid, finger = self.seen.fingers[0]
            line.ask("template by 88", Command.READ_TEMPLATE, struct.pack("<HB", uid, finger))
            line.ask("template by 9", Command.USERTEMP_RRQ, struct.pack("<HB", uid, finger))
            missing = next((each for each in range(10) if (uid, each) not in self.seen.fingers), None)
            if missing is not None:
                line.ask("missing template", Command.READ_TEMPLATE, struct.pack("<HB", uid, missing))
        line.ask("templates by 9 and 2", Command.PREPARE_BUFFER, tables.TEMPLATES_BY_NINE)
        line.ask("free", Command.FREE_DATA)
        if self.seen.users:
            user = struct.pack("<I", self.seen.users[0].uid)
            line.ask("group of user", _USER_GROUP, user)
            line.ask("zones of user", _USER_ZONES, user)
            line.ask("verify mode", _VERIFY_MODE, user[:2])
        for step, command in (("zones of group", _GROUP_ZONES), ("zone", _ZONE), ("combination", _COMBINATION)):
            line.ask(step, command, struct.pack("<I", 1))

    def _unknown(self, line: Line) -> None:
        self._tell(f"{line.name}: commands that it cannot know")
        for command in (Code.ERROR, Code.UNKNOWN):
            line.ask("unknown command", command, b"~ExtendFmt\0")

    def _is_small(self, table: Table, record: int) -> bool:
        count = tables.count_in(self.seen.sizes, table)
        return count is not None and count * record <= _MOST_DIRECT

    # Connections of their own, for questions after which a terminal might drop one

    def _side_questions(self) -> None:
        self._tell("tcp: before CONNECT, wrong checksum, wrong session, two at once, second connection")
        with self.line("tcp before connect") as line:
            if line is not None:
                line.ask("clock before connect", Command.GET_TIME)
        clock = Command.GET_TIME
        with self._greeted("tcp wrong checksum") as line:
            if line is not None:
                line.ask("clock with a wrong checksum", clock, intact=False)
                self._leave(line)
        with self._greeted("tcp wrong session") as line:
            if line is not None:
                line.ask("clock in another session", clock, session=line.session ^ 0x0101)
                self._leave(line)
        with self._greeted("tcp two at once") as line:
            if line is not None:
                line.ask_together("version twice at once", Command.GET_VERSION, b"", 2)
                self._leave(line)
        with self._greeted("tcp first") as first:
            if first is not None:
                with self._greeted("tcp second") as second:
                    if second is not None:
                        second.ask("clock on the second", clock)
                    first.ask("clock on the first", clock)
                    if second is not None:
                        self._leave(second)
                self._leave(first)

    @contextmanager
    def _greeted(self, name: str) -> Iterator[Line | None]:
        with self.line(name) as line:
            yield line if line is not None and self.greet(line) else None

    def _leave(self, line: Line) -> None:
        if not line.over:
            line.ask("exit", Command.EXIT)


def _moment(clock: bytes) -> datetime | None:
    """The date and time of a clock; None where it shows none."""
    return wire.decode_time(int.from_bytes(clock, "little")) if len(clock) == 4 else None


def _offset(shown: datetime | None, now: datetime) -> int | None:
    """How far a clock is ahead of the machine's, to within a second; None where it shows no date.

    It shows whole seconds, so it is half a second further on average.
    """
    return None if shown is None else round((shown - now).total_seconds() + 0.5)
