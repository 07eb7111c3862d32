"""Try what changes a terminal: a test user, two fingers of that user, a timed DISABLE, the door. Each is undone.

What undoes a step is noted before the step is asked for: a request may be carried out although its answer is lost.
"""

from __future__ import annotations

import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Self

from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.report import tables
from zkbridge.terminal.report.line import Line
from zkbridge.terminal.report.probe import Probe
from zkbridge.terminal.report.tables import NO_FINGER, USERS

#: Seconds after which a disabled terminal is to enable itself, and how long that is waited for beyond them.
DISABLED_S, GRACE_S = 3, 1.0
#: What UNLOCK is sent: one second if it counts tenths, ten if it counts seconds.
UNLOCK = 10
#: Looks at the door: so often, so long.
_LOOK_S, _LOOKS = 0.25, 48
_NAME = b"zkbridge test"
#: Finger 0 comes last, so that it is deleted first: what becomes of the other is one of the questions.
_FINGERS = (5, 0)
_TEMPLATE_FLAG = 1
_PRIVILEGES = 0
_GROUP = 1
_STATE = 64
#: By documents alone (zk-protocol `access.md`).
_USER_ZONES, _WRITE_USER_ZONES, _LONG_RECORD = 23, 24, 72
#: What ends a program: Ctrl-C, a service manager, and a closed window.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: How often an undoing is tried, and the seconds in between: a terminal may just be starting.
_TRIES, _PAUSE_S = 3, 1.0


class CannotTry(Exception):
    """A trial would not be safe; `str` says why."""


class NotUndone(Exception):
    """Something that a trial changed is still there; `str` says what, and how a person removes it."""


class Trial:
    """The trial of one terminal whose probe has read its users."""

    def __init__(self, probe: Probe, tell: Callable[[str], object]) -> None:
        self._probe = probe
        self._tell = tell
        self._undo: list[tuple[str, Callable[[Line], bool]]] = []

    def run(self) -> None:
        """Try everything; undo it, whatever happens meanwhile.

        Raises CannotTry before anything is changed, NotUndone when something could not be undone, and whatever ended
        the trial, KeyboardInterrupt among it, after everything was undone.
        """
        with Interrupts() as interrupts:
            try:
                try:
                    self._steps()
                finally:
                    interrupts.hold()
            finally:  # also when a signal came between the end of the steps and `hold`
                self._undo_all()

    def _steps(self) -> None:
        with self._line("trial") as line:
            uid, user_id = self._free_keys(line)
            self._user(line, uid, user_id)
            self._zones(line, uid)
            for finger in _FINGERS:
                self._finger(line, uid, finger)
            self._disable(line)
            self._door(line)

    # Steps

    def _user(self, line: Line, uid: int, user_id: str) -> None:
        self._tell(f"a test user {user_id} is written")
        record = self._record(uid, user_id)
        self._undo.append((f"user {user_id} is deleted", lambda line: self._user_gone(line, uid)))
        line.ask("write user", Command.USER_WRQ, record)
        line.ask("refresh", Command.REFRESHDATA)
        line.ask("sizes with the user", Command.GET_FREE_SIZES)

    def _zones(self, line: Line, uid: int) -> None:
        """Command 23 before and after 24, whose flag is known: the first zone as the test user's own.

        Black-and-white terminals have other layouts of the two, in documents that are too vague to write by.
        """
        if self._probe.seen.record != _LONG_RECORD:
            return
        asked = struct.pack("<I", uid)
        if line.ask("zones of the test user", _USER_ZONES, asked).code != Code.OK:
            return
        self._tell("that user gets time zone 1 of its own")
        line.ask("zones of its own", _WRITE_USER_ZONES, struct.pack("<5I", uid, 1, 1, 0, 0))
        line.ask("zones of the test user after", _USER_ZONES, asked)

    def _finger(self, line: Line, uid: int, finger: int) -> None:
        self._tell(f"a template of that user's finger {finger} is written")
        slot = struct.pack("<HB", uid, finger)
        undo = partial(self._finger_gone, uid=uid, finger=finger)
        self._undo.append((f"the template of finger {finger} is deleted", undo))
        line.ask("begin template", Command.PREPARE_DATA, struct.pack("<HH", len(NO_FINGER), 0))
        line.ask("send template", Command.DATA, NO_FINGER)
        line.ask("sum of template", Command.CHECKSUM_BUFFER)
        write = struct.pack("<HBBH", uid, finger, _TEMPLATE_FLAG, len(NO_FINGER))
        line.ask(f"write template {finger}", Command.WRITE_TEMPLATE, write)
        line.ask("free", Command.FREE_DATA)
        line.ask("refresh", Command.REFRESHDATA)
        line.ask(f"written template {finger} by 88", Command.READ_TEMPLATE, slot)

    def _disable(self, line: Line) -> None:
        self._tell(f"people are kept off for {DISABLED_S} s")
        self._undo.append(("the terminal is enabled", self._enabled))
        line.ask("disable for a time", Command.DISABLE, struct.pack("<I", DISABLED_S))
        line.ask("state while disabled", _STATE)
        time.sleep(DISABLED_S + GRACE_S)
        line.ask("state after its time", _STATE)
        line.ask("enable", Command.ENABLE)

    def _door(self, line: Line) -> None:
        """The door cannot be closed by a command: the terminal does that itself after the time that it was sent."""
        self._tell("the door is opened")
        if line.ask("unlock", Command.UNLOCK, struct.pack("<I", UNLOCK)).code != Code.OK:
            return
        begun = time.monotonic()
        for _ in range(_LOOKS):
            answer = line.ask("door after unlock", Command.DOORSTATE_RRQ)
            if line.over or answer.data[:1] != b"\x01":
                break
            time.sleep(_LOOK_S)
        self._tell(f"the door was open for {time.monotonic() - begun:.1f} s, as far as the terminal says")

    # Undoing

    def _undo_all(self) -> None:
        """Everything that was begun, the last first, on a new connection if need be; each up to three times."""
        left = []
        while self._undo:
            what, undo = self._undo.pop()
            self._tell(f"undo: {what}")
            if not self._undone(undo):
                left.append(what)
        if left:
            raise NotUndone(
                f"could not be undone: {'; '.join(left)}. Look at the terminal's menu: the test user is named "
                f"{_NAME.decode()!r}, and switching the terminal off and on lets people in again"
            )

    def _undone(self, undo: Callable[[Line], bool]) -> bool:
        for number in range(_TRIES):
            time.sleep(_PAUSE_S if number else 0)
            with suppress(CannotTry), self._line("undo") as line:
                if undo(line):
                    return True
        return False

    def _user_gone(self, line: Line, uid: int) -> bool:
        line.ask("delete user", Command.DELETE_USER, struct.pack("<H", uid))
        line.ask("delete user again", Command.DELETE_USER, struct.pack("<H", uid))
        line.ask("refresh", Command.REFRESHDATA)
        read = self._probe.read_table(line, USERS, whole=True)
        record = self._probe.seen.record
        return bool(record) and len(read) >= 4 and uid not in {key.uid for key in tables.user_keys(read, record or 0)}

    def _finger_gone(self, line: Line, *, uid: int, finger: int) -> bool:
        slot = struct.pack("<HB", uid, finger)
        line.ask(f"delete template {finger}", Command.DELETE_USERTEMP, slot)
        line.ask("refresh", Command.REFRESHDATA)
        if finger == 0:  # some firmware takes finger 0 for all of them
            line.ask("template 5 after finger 0", Command.READ_TEMPLATE, struct.pack("<HB", uid, _FINGERS[0]))
        answer = line.ask(f"template {finger} after deletion", Command.READ_TEMPLATE, slot)
        return answer.code not in (None, Command.PREPARE_DATA, Command.DATA)

    def _enabled(self, line: Line) -> bool:
        return line.ask("enable at last", Command.ENABLE).code == Code.OK

    # What it stands on

    @contextmanager
    def _line(self, name: str) -> Iterator[Line]:
        if not self._probe.seen.lines:
            raise CannotTry("the terminal has let us in over no transport")
        transport = self._probe.seen.lines[0]
        with self._probe.line(f"{transport} {name}") as line:
            if line is None or not self._probe.greet(line):
                raise CannotTry("the terminal does not let us in any more")
            yield line
            if not line.over:
                line.ask("exit", Command.EXIT)

    def _free_keys(self, line: Line) -> tuple[int, str]:
        """A uid and a user_id that no user has, by the table as it is now.

        Raises CannotTry where that is not beyond doubt.
        """
        read = self._probe.read_table(line, USERS, whole=True)
        sizes = line.ask("sizes before the trial", Command.GET_FREE_SIZES).data
        record = tables.user_record(tables.announced(read) or 0, tables.count_in(sizes, USERS))
        if record is None or record != self._probe.seen.record or len(read) != 4 + (tables.announced(read) or 0):
            raise CannotTry("its table of users could not be read for certain")
        users = list(tables.user_keys(read, record))
        uids, ids = {key.uid for key in users}, {key.user_id for key in users}
        uid = next((each for each in range(1, 0xFFFF) if each not in uids), None)
        user_id = next((text for number in range(99_999, 0, -1) if (text := str(number)) not in ids), None)
        if uid is None or user_id is None:
            raise CannotTry("no uid or user_id is free")
        return uid, user_id

    def _record(self, uid: int, user_id: str) -> bytes:
        if self._probe.seen.record == 28:
            return struct.pack("<HB5s8sIxBHI", uid, _PRIVILEGES, b"", _NAME, 0, _GROUP, 0, int(user_id))
        return struct.pack("<HB8s24sIB8x24s", uid, _PRIVILEGES, b"", _NAME, 0, _GROUP, user_id.encode())


class Interrupts:
    """Signals that end a program raise KeyboardInterrupt once; after `hold`, or a first one, they wait for the end."""

    def __init__(self) -> None:
        self._held = False
        self._came = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in _ENDING:
            self._before[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it is what signal.signal returned
        if self._came and kind is None:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """Let nothing interrupt what follows."""
        self._held = True

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        first, self._came = not self._came, True
        if first and not self._held:
            raise KeyboardInterrupt
