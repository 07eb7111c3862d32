"""A terminal as data: its tables, options, clock, door and display, and the rules that guard them."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from zkbridge.simulator import records, wire
from zkbridge.simulator.codes import VOICES, Code
from zkbridge.simulator.records import Punch, Template, UserView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkbridge.simulator.profile import Profile
    from zkbridge.simulator.store import Change, Store
    from zkbridge.simulator.switches import Switches

#: Operation numbers of the log. 6 is from a capture (zk-protocol data-record.md); the others from its table.
OP_POWER_ON, OP_ENROLLED, OP_USER_DELETED, OP_CLEARED, OP_TIME_SET, OP_USER_WRITTEN = 0, 6, 9, 13, 22, 30

_SERIAL_OPTION = "~SerialNumber"


class Refused(Exception):
    """The terminal does not do it; `code` is what a client is answered, the text what a person is told."""

    def __init__(self, reason: str, code: int = Code.ERROR) -> None:
        super().__init__(reason)
        self.code = code


class Terminal:
    """Everything a terminal remembers. Each public method may be called from any thread.

    `lock` is held for one effect at a time; users are kept as the records that were written, byte for byte.
    """

    def __init__(
        self, profile: Profile, switches: Switches, *, serial: str | None = None, store: Store | None = None
    ) -> None:
        self.profile = profile
        self.switches = switches
        self.lock = threading.RLock()
        self.record = profile.record
        self.options = dict(profile.options)
        if serial is not None:
            self.options[_SERIAL_OPTION] = serial
        self.users: dict[int, bytes] = {}
        self.templates: dict[tuple[int, int], Template] = {}
        self.attendance: deque[Punch] = deque()
        self.operations: deque[bytes] = deque(maxlen=10_000)
        self.verify_modes: dict[int, int] = {}
        self.lcd: dict[int, str] = {}
        self.message = ""
        self.sleeping = False
        self.enrolling = False
        self.on_change: Callable[[str], None] = lambda _text: None
        self._pending: dict[int, bytes] = {}
        self._clock_offset = timedelta(0)
        self._door_until = 0.0
        self._disabled_since: float | None = None
        self._disabled_until: float | None = None
        self._spans: list[float] = []
        self._store = store
        if store is not None:
            self.load(store.changes())

    # Enabled and disabled

    @property
    def disabled(self) -> bool:
        """Whether people are kept off; a DISABLE with a time ends by itself."""
        with self.lock:
            if self._disabled_until is not None and time.monotonic() >= self._disabled_until:
                self._end_disabled(self._disabled_until)
            return self._disabled_since is not None

    def disable(self, seconds: int = 0) -> None:
        """Keep people off, for this long or until enabled."""
        with self.lock:
            now = time.monotonic()
            if not self.disabled:
                self._disabled_since = now
            self._disabled_until = now + seconds if seconds else None
        self.on_change(f"disabled for {seconds} s" if seconds else "disabled")

    def enable(self) -> None:
        """Let people use it again."""
        with self.lock:
            was = self.disabled
            if was:
                self._end_disabled(time.monotonic())
        if was:
            self.on_change("enabled")

    def disabled_spans(self) -> list[float]:
        """The seconds of every time it was disabled; one that lasts counts until now."""
        with self.lock:
            open_span = [time.monotonic() - self._disabled_since] if self.disabled and self._disabled_since else []
            return self._spans + open_span

    def _end_disabled(self, when: float) -> None:
        if self._disabled_since is not None:
            self._spans.append(when - self._disabled_since)
        self._disabled_since = self._disabled_until = None

    # Users

    def write_user(self, raw: bytes) -> None:
        """Take a record as a client wrote it: a new user, or the user of that uid changed.

        Raises Refused: another record size, a uid, user id or card that this terminal does not take, no room.
        """
        with self.lock:
            raw = self._acceptable(raw)
            uid = records.user_uid(raw)
            if self.switches.lazy_commit:
                self._pending[uid] = raw
            else:
                self._put_user(uid, raw)
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
        with self.lock:
            encoding = self.switches.encoding
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
            self._put_user(records.user_uid(raw), self._acceptable(raw))
        self.on_change(f"user {user_id} added at the keypad")
        return records.view_user(raw, encoding)

    def fill_users(self, count: int) -> None:
        """Many users at once, with uids and user ids above the highest; for tests of size."""
        with self.lock:
            first = max(self.users, default=0) + 1
            pins = [int(pin) for raw in self.users.values() if (pin := records.user_pin(raw)).isdecimal()]
            shift = max(max(pins, default=0) - first + 1, 0)
            added = {
                uid: records.pack_user(
                    self.record,
                    uid=uid,
                    user_id=str(uid + shift),
                    name=f"User {uid}".encode(),
                    password=b"",
                    privilege=0,
                    card=0,
                    group=1,
                )
                for uid in range(first, first + count)
            }
            self.users.update(added)
            self._keep(*(["user", uid, raw.hex()] for uid, raw in added.items()))

    def delete_user(self, uid: int) -> None:
        """Remove a user and the templates; the attendance log keeps the punches. Raises Refused if unknown."""
        with self.lock:
            if uid not in self.users:
                raise Refused("no such user", self.switches.delete_unknown)
            if self.switches.delete_without_effect:
                return
            for key in [key for key in self.templates if key[0] == uid]:
                self._drop_template(key)
            del self.users[uid]
            self.verify_modes.pop(uid, None)
            self._keep(["user", uid, None])
            self.log_operation(OP_USER_DELETED, uid)
        self.on_change(f"user with uid {uid} deleted")

    def find_user(self, user_id: str) -> int | None:
        """The uid of the first user with this user id."""
        with self.lock:
            return next((uid for uid, raw in self.users.items() if records.user_pin(raw) == user_id), None)

    def views(self) -> list[UserView]:
        """All users, in the order of the table."""
        with self.lock:
            return [records.view_user(raw, self.switches.encoding) for raw in self.users.values()]

    def user_records(self) -> list[bytes]:
        """The records as a client reads them."""
        with self.lock:
            if self.switches.junk:
                return [records.with_junk(raw) for raw in self.users.values()]
            return list(self.users.values())

    def clear_administrators(self) -> None:
        """Make everybody an ordinary user."""
        with self.lock:
            for uid, raw in self.users.items():
                self._put_user(uid, records.with_privilege(raw, 0))

    def commit_pending(self) -> None:
        """What `lazy_commit` held back becomes visible, as after a restart."""
        with self.lock:
            for uid, raw in self._pending.items():
                self._put_user(uid, raw)
            self._pending.clear()

    def _acceptable(self, raw: bytes) -> bytes:
        if len(raw) != self.record:
            raise Refused(f"a record of {len(raw)} bytes, not {self.record}")
        uid = records.user_uid(raw)
        if not 1 <= uid <= (self.switches.uid_max or self.switches.user_capacity):
            raise Refused(f"uid {uid} is out of range")
        if uid not in self.users and len(self.users) + self._new_pending() >= self.switches.user_capacity:
            raise Refused("no room for one more user", self.switches.full_code)
        self._check_user_id(uid, records.user_pin(raw))
        if self.switches.name_bytes < 24:
            raw = records.with_short_name(raw, self.switches.name_bytes)
        return self._checked_card(raw)

    def _new_pending(self) -> int:
        return sum(uid not in self.users for uid in self._pending)

    def _check_user_id(self, uid: int, user_id: str) -> None:
        switches = self.switches
        if switches.user_id_rule == "reject":
            if len(user_id.encode()) > switches.user_id_width and self.record == 72:
                raise Refused(f"user_id {user_id!r} is wider than {switches.user_id_width}")
            if not user_id.isascii() or not user_id.isalnum():
                raise Refused(f"user_id {user_id!r} is neither digits nor letters")
            if not user_id.isdigit() and self.options.get("~IsABCPinEnable") != "1":
                raise Refused(f"user_id {user_id!r} has letters")
        if switches.duplicate_user_id == "reject" and self.find_user(user_id) not in (None, uid):
            raise Refused(VOICES[5])

    def _checked_card(self, raw: bytes) -> bytes:
        card, bits = records.card_number(raw), self.switches.card_bits
        if card < 1 << bits:
            return raw
        if self.switches.card_rule == "reject":
            raise Refused(f"a card of more than {bits} bits")
        return records.with_card(raw, card & ((1 << bits) - 1))

    def _put_user(self, uid: int, raw: bytes) -> None:
        self.users[uid] = raw
        self._keep(["user", uid, raw.hex()])

    # Templates

    def write_template(self, uid: int, finger: int, template: Template) -> None:
        """Store a finger of a user. Raises Refused: no such user or finger, no room."""
        with self.lock:
            if uid not in self.users:
                raise Refused("no such user")
            if not 0 <= finger <= 9:
                raise Refused(f"finger {finger} is not 0 to 9")
            key = (uid, finger)
            if key not in self.templates and len(self.templates) >= self.switches.finger_capacity:
                raise Refused("no room for one more template")
            self.templates[key] = template
            self._keep(["template", uid, finger, template.flag, template.data.hex()])

    def delete_templates(self, uid: int, finger: int | None) -> None:
        """Remove one finger of a user, or all. Raises Refused when there is none."""
        with self.lock:
            keys = [key for key in self.templates if key[0] == uid and finger in (None, key[1])]
            if not keys:
                raise Refused("no such template")
            for key in keys:
                self._drop_template(key)

    def _drop_template(self, key: tuple[int, int]) -> None:
        del self.templates[key]
        self._keep(["template", *key, 0, None])

    # Attendance and operations

    def record_punch(self, punch: Punch) -> None:
        """Add a line to the attendance log. Raises Refused when it is full and keeps what it has."""
        with self.lock:
            if len(self.attendance) >= self.switches.record_capacity:
                if self.switches.log_full == "refuse":
                    raise Refused(VOICES[7])
                self.attendance.popleft()
                self._keep(["forget punch"])
            self.attendance.append(punch)
            self._keep(["punch", *astuple(punch)])

    def log_operation(self, operation: int, number: int = 0) -> None:
        """Add 16 bytes to the operation log: zero, operation, zero, time, four parameters."""
        with self.lock:
            moment = wire.encode_time(self.now()).to_bytes(4, "little")
            line = bytes((0, 0, operation, 0)) + moment + number.to_bytes(2, "little") + bytes(6)
            self.operations.append(line)
            self._keep(["operation", line.hex()])

    def clear(self, *tables: str) -> None:
        """Empty tables by name: users, templates, attendance, operations."""
        with self.lock:
            for table in tables:
                getattr(self, table).clear()
                self._keep(["clear", table])
            if "users" in tables:
                self._pending.clear()
                self.verify_modes.clear()
            self.log_operation(OP_CLEARED)
        self.on_change(f"cleared: {', '.join(tables)}")

    # Options, clock, door, display

    def set_option(self, name: str, value: str | None) -> None:
        """Write an option, or forget it with None: reading it is then refused."""
        with self.lock:
            if value is None:
                self.options.pop(name, None)
            else:
                self.options[name] = value
            self._keep(["option", name, value])

    def option(self, name: str) -> str | None:
        """An option as a client reads it; the width of user ids follows its switch."""
        if name == "~PIN2Width":
            return str(self.switches.user_id_width)
        return self.options.get(name)

    def now(self) -> datetime:
        """What the terminal's clock shows; it knows no time zone."""
        return (datetime.now() + self._clock_offset).replace(microsecond=0)  # noqa: DTZ005  local, as a wall clock

    def set_clock(self, when: datetime) -> None:
        """Set the clock."""
        with self.lock:
            self._clock_offset = when - datetime.now()  # noqa: DTZ005  local, as a wall clock
            self._keep(["clock", self._clock_offset.total_seconds()])
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

    def dump(self) -> Iterator[Change]:
        """The tables as changes to an empty terminal."""
        with self.lock:
            for uid, raw in self.users.items():
                yield ["user", uid, raw.hex()]
            for (uid, finger), template in self.templates.items():
                yield ["template", uid, finger, template.flag, template.data.hex()]
            for punch in self.attendance:
                yield ["punch", *astuple(punch)]
            for line in self.operations:
                yield ["operation", line.hex()]
            for name, value in self.options.items():
                yield ["option", name, value]
            for name in self.profile.options.keys() - self.options.keys():
                yield ["option", name, None]
            yield ["clock", self._clock_offset.total_seconds()]

    def load(self, changes: Iterator[Change]) -> None:
        """Make the tables what these changes say. Raises ValueError when they are of another kind of terminal."""
        with self.lock:
            for table in (self.users, self.templates, self.attendance, self.operations):
                table.clear()
            for kind, *values in changes:
                self._apply(kind, values)
            if any(len(raw) != self.record for raw in self.users.values()):
                raise ValueError(f"the file's users have not {self.record} bytes, as this profile's have")
            if self._store is not None:
                self._store.begin(self.dump())

    def _apply(self, kind: str, values: list[Any]) -> None:
        match kind, values:
            case "user", [uid, raw]:
                _put(self.users, uid, raw and bytes.fromhex(raw))
            case "template", [uid, finger, flag, data]:
                _put(self.templates, (uid, finger), data and Template(flag, bytes.fromhex(data)))
            case "punch", _:
                self.attendance.append(Punch(*values))
            case "forget punch", _:
                self.attendance.popleft()
            case "operation", [line]:
                self.operations.append(bytes.fromhex(line))
            case "clear", [table]:
                getattr(self, table).clear()
            case "option", [name, value]:
                _put(self.options, name, value)
            case "clock", [seconds]:
                self._clock_offset = timedelta(seconds=seconds)
            case _:
                raise ValueError(f"{kind!r} is not a change of a terminal")

    def close(self) -> None:
        """Leave the file; nothing more is kept."""
        if self._store is not None:
            self._store.close()

    def _keep(self, *changes: Change) -> None:
        if self._store is not None:
            self._store.append(changes)


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
