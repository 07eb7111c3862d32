"""A terminal as data: its tables under their rules, its clock, door and display."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from zkbridge.simulator.device import rules
from zkbridge.simulator.device.curfew import Curfew
from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import VOICES
from zkbridge.simulator.wire.records import Punch, Template, UserView
from zkbridge.simulator.wire.tables import Change, Tables, punch_change, template_change, user_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zkbridge.simulator.device.profile import Profile
    from zkbridge.simulator.device.store import Store
    from zkbridge.simulator.device.switches import Switches

#: Operation numbers of the log. 6 is in a capture (zk-protocol data-record.md); the others are [?], as the SDK's
#: manuals list them.
OP_POWER_ON, OP_ENROLLED, OP_USER_DELETED, OP_CLEARED, OP_TIME_SET, OP_USER_WRITTEN = 0, 6, 9, 13, 22, 30

_SERIAL_OPTION = "~SerialNumber"
_WIDTH_OPTION = "~PIN2Width"


class Terminal:
    """Everything a terminal remembers. Each public method may be called from any thread.

    `lock` is held for one effect at a time; users are kept as the records that were written, byte for byte.
    `on_change` hears a line of text, without passwords and cards, for whatever a person could notice.
    """

    def __init__(
        self, profile: Profile, switches: Switches, *, serial: str | None = None, store: Store | None = None
    ) -> None:
        self.profile = profile
        self.switches = switches
        self.lock = threading.RLock()
        self.record = profile.record
        self.curfew = Curfew()
        self.verify_modes: dict[int, int] = {}
        self.lcd: dict[int, str] = {}
        self.message = ""
        self.sleeping = False
        self.enrolling = False
        self.on_change: Callable[[str], None] = lambda _text: None
        self._options = dict(profile.options) | ({} if serial is None else {_SERIAL_OPTION: serial})
        self._tables = Tables(dict(self._options))
        self._waiting: dict[int, bytes] = {}
        self._door_until = 0.0
        self._store = store
        if store is not None:
            self.load(store.changes())

    # Enabled and disabled

    @property
    def disabled(self) -> bool:
        """Whether people are kept off."""
        return self.curfew.active

    def disable(self, seconds: int = 0) -> None:
        """Keep people off, for this long or until enabled."""
        self.curfew.begin(seconds)
        self.on_change(f"disabled for {seconds} s" if seconds else "disabled")

    def enable(self) -> None:
        """Let people use it again."""
        if self.curfew.end():
            self.on_change("enabled")

    # Users

    @property
    def users(self) -> dict[int, bytes]:
        """The records by uid; to be changed by the methods below only."""
        return self._tables.users

    def write_user(self, raw: bytes) -> None:
        """Take a record as a client wrote it: a new user, or the user of that uid changed. Raises Refused."""
        with self.lock:
            raw = self._accepted(raw)
            uid = records.user_uid(raw)
            if self.switches.lazy_commit:
                self._waiting[uid] = raw
            else:
                self._change(user_change(uid, raw))
            self.log_operation(OP_USER_WRITTEN, uid)
        self.on_change(f"user {records.user_pin(raw)} written as uid {uid}")

    def add_user(
        self,
        *,
        user_id: str,
        name: str = "",
        uid: int | None = None,
        password: str = "",
        privilege: int = 0,
        card: int = 0,
        group: int = 1,
    ) -> UserView:
        """A user typed in at the keypad; without a uid, one above the highest. Raises Refused or ValueError."""
        encoding = self.switches.encoding
        with self.lock:
            raw = records.pack_user(
                self.record,
                uid=max(self.users, default=0) + 1 if uid is None else uid,
                user_id=user_id,
                name=name.encode(encoding),
                password=password.encode(encoding),
                privilege=privilege,
                card=card,
                group=group,
            )
            if self.find_user(user_id) is not None:
                raise Refused(VOICES[5])
            raw = self._accepted(raw)
            self._change(user_change(records.user_uid(raw), raw))
        self.on_change(f"user {user_id} added at the keypad as uid {records.user_uid(raw)}")
        return records.view_user(raw, encoding)

    def fill_users(self, count: int) -> None:
        """Many users at once, with uids and user ids above the highest; for tests of size."""
        with self.lock:
            first = max(self.users, default=0) + 1
            pins = [int(pin) for raw in self.users.values() if (pin := records.user_pin(raw)).isdecimal()]
            shift = max(max(pins, default=0) - first + 1, 0)
            self._change(*(user_change(uid, self._filler(uid, shift)) for uid in range(first, first + count)))

    def delete_user(self, uid: int) -> None:
        """Remove a user and the templates; the attendance log keeps the punches. Raises Refused if unknown."""
        with self.lock:
            if uid not in self.users:
                raise Refused("no such user", self.switches.delete_unknown)
            if self.switches.delete_without_effect:
                return
            fingers = [template_change(*key, None) for key in self.templates if key[0] == uid]
            self._change(*fingers, user_change(uid, None))
            self.verify_modes.pop(uid, None)
            self.log_operation(OP_USER_DELETED, uid)
        self.on_change(f"user with uid {uid} deleted")

    def find_user(self, user_id: str) -> int | None:
        """The uid of the first user with this user id."""
        with self.lock:
            return rules.find(self.users, user_id)

    def views(self) -> list[UserView]:
        """All users, in the order of the table."""
        with self.lock:
            return [records.view_user(raw, self.switches.encoding) for raw in self.users.values()]

    def user_records(self) -> list[bytes]:
        """The records as a client reads them."""
        with self.lock:
            kept = list(self.users.values())
        return [records.with_junk(raw) for raw in kept] if self.switches.junk else kept

    def clear_administrators(self) -> None:
        """Make everybody an ordinary user."""
        with self.lock:
            users = self.users.items()
            self._change(*[user_change(uid, records.with_privilege(raw, 0)) for uid, raw in users])

    def commit_waiting(self) -> None:
        """What `lazy_commit` held back becomes visible, as after a restart."""
        with self.lock:
            self._change(*(user_change(uid, raw) for uid, raw in self._waiting.items()))
            self._waiting.clear()

    def _accepted(self, raw: bytes) -> bytes:
        return rules.accept_user(
            raw,
            record=self.record,
            switches=self.switches,
            options=self._tables.options,
            users=self.users,
            waiting=self._waiting,
        )

    def _filler(self, uid: int, shift: int) -> bytes:
        return records.pack_user(
            self.record,
            uid=uid,
            user_id=str(uid + shift),
            name=f"User {uid}".encode(),
            password=b"",
            privilege=0,
            card=0,
            group=1,
        )

    # Templates

    @property
    def templates(self) -> dict[tuple[int, int], Template]:
        """The stored fingers by uid and finger; to be changed by the methods below only."""
        return self._tables.templates

    def write_template(self, uid: int, finger: int, template: Template) -> None:
        """Store a finger of a user. Raises Refused: no such user or finger, no room."""
        with self.lock:
            if uid not in self.users:
                raise Refused("no such user")
            if not 0 <= finger <= 9:
                raise Refused(f"finger {finger} is not 0 to 9")
            full = len(self.templates) >= self.switches.finger_capacity
            if full and (uid, finger) not in self.templates:
                raise Refused("no room for one more template")
            self._change(template_change(uid, finger, template))

    def delete_templates(self, uid: int, finger: int | None) -> None:
        """Remove one finger of a user, or all. Raises Refused when there is none."""
        with self.lock:
            keys = [key for key in self.templates if key[0] == uid and finger in (None, key[1])]
            if not keys:
                raise Refused("no such template")
            self._change(*(template_change(*key, None) for key in keys))

    # Logs

    @property
    def attendance(self) -> deque[Punch]:
        """The attendance log, oldest first."""
        return self._tables.attendance

    @property
    def operations(self) -> deque[bytes]:
        """The operation log, oldest first, as its 16-byte records."""
        return self._tables.operations

    def record_punch(self, punch: Punch) -> None:
        """Add a line to the attendance log. Raises Refused when it is full and keeps what it has."""
        with self.lock:
            if len(self.attendance) >= self.switches.record_capacity:
                if self.switches.log_full == "refuse":
                    raise Refused(VOICES[7])
                self._change(["forget punch"])
            self._change(punch_change(punch))

    def log_operation(self, operation: int, number: int = 0) -> None:
        """Add 16 bytes to the operation log: zero, operation, zero, time, four parameters."""
        moment = wire.encode_time(self.now()).to_bytes(4, "little")
        line = bytes((0, 0, operation, 0)) + moment + number.to_bytes(2, "little") + bytes(6)
        with self.lock:
            self._change(["operation", line.hex()])

    def clear(self, *tables: str) -> None:
        """Empty tables by name: users, templates, attendance, operations."""
        with self.lock:
            self._change(*(["clear", table] for table in tables))
            if "users" in tables:
                self._waiting.clear()
                self.verify_modes.clear()
            self.log_operation(OP_CLEARED)
        self.on_change(f"cleared: {', '.join(tables)}")

    # Options, clock, door, display

    def option(self, name: str) -> str | None:
        """An option as a client reads it; the width of user ids follows its switch."""
        if name == _WIDTH_OPTION:
            return str(self.switches.user_id_width) if self.switches.tells_user_id_width else None
        return self._tables.options.get(name)

    def set_option(self, name: str, value: str | None) -> None:
        """Write an option, or forget it with None: reading it is then refused."""
        with self.lock:
            self._change(["option", name, value])

    def now(self) -> datetime:
        """What the terminal's clock shows; it knows no time zone."""
        offset = timedelta(seconds=self._tables.clock_offset_s)
        return (datetime.now() + offset).replace(microsecond=0)  # noqa: DTZ005  local, as a wall clock

    def set_clock(self, when: datetime) -> None:
        """Set the clock."""
        offset = when - datetime.now()  # noqa: DTZ005  local, as a wall clock
        with self.lock:
            self._change(["clock", offset.total_seconds()])
            self.log_operation(OP_TIME_SET)

    @property
    def door_open(self) -> bool:
        """Whether the door is open just now."""
        return time.monotonic() < self._door_until

    def open_door(self, seconds: float) -> None:
        """Release the door for a time."""
        self._door_until = time.monotonic() + seconds
        self.on_change(f"door open for {seconds:g} s")

    def say(self, text: str) -> None:
        """Show and speak a sentence to the person in front of it."""
        self.message = text
        self.on_change(f"says: {text}")

    @property
    def display(self) -> str:
        """What stands on the display."""
        if self.disabled:
            return "working…"
        if self.lcd:
            return " / ".join(text for _line, text in sorted(self.lcd.items()))
        if self.sleeping:
            return "(asleep)"
        return self.message or f"{self.now():%H:%M}"

    # Keeping

    def changes(self) -> list[Change]:
        """The tables as changes to a terminal of this profile that nobody has used."""
        with self.lock:
            return list(self._tables.changes(self._options))

    def load(self, changes: Iterable[Change]) -> None:
        """Make the tables what these changes say; all or nothing.

        Raises ValueError when they are not of a terminal, or of one with other records.
        """
        tables = Tables(dict(self._options))
        tables.apply(changes)
        if any(len(raw) != self.record for raw in tables.users.values()):
            raise ValueError(f"its users have not the {self.record} bytes that this profile's have")
        with self.lock:
            self._tables = tables
            if self._store is not None:
                self._store.begin(self.changes())

    def close(self) -> None:
        """Leave the file; nothing more is kept."""
        if self._store is not None:
            self._store.close()

    def _change(self, *changes: Change) -> None:
        """The only way to the tables: what memory holds, the file has first."""
        if self._store is not None:
            self._store.append(changes)
        self._tables.apply(changes)
