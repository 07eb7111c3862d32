"""A terminal as data: its tables under their rules, its clock, door and display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.device.access import Access
from zkbridge.simulator.device.clock import Clock
from zkbridge.simulator.device.disabled_time import DisabledTime
from zkbridge.simulator.device.fingers import Fingers
from zkbridge.simulator.device.front import Front
from zkbridge.simulator.device.logs import OP_CLEARED, OP_TIME_SET, Logs
from zkbridge.simulator.device.memory import Memory
from zkbridge.simulator.device.notices import Notices
from zkbridge.simulator.device.users import Users

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from zkbridge.simulator.device.profile import Profile
    from zkbridge.simulator.device.store import Store
    from zkbridge.simulator.device.switches import Switches

_SERIAL_OPTION = "~SerialNumber"
_WIDTH_OPTION = "~PIN2Width"


class Terminal:
    """Everything a terminal remembers. Each public method may be called from any thread."""

    def __init__(
        self, profile: Profile, switches: Switches, *, serial: str | None = None, store: Store | None = None
    ) -> None:
        self.profile = profile
        self.switches = switches
        self.enrolling = False
        self.disabled_time = DisabledTime()
        self.notices = Notices()
        options = dict(profile.options) | ({} if serial is None else {_SERIAL_OPTION: serial})
        self.memory = Memory(options, profile.record, store)
        self.clock = Clock(self.memory)
        self.logs = Logs(self.memory, switches, self.clock)
        self.users = Users(self.memory, switches, self.logs, self.notices)
        self.fingers = Fingers(self.memory, switches)
        self.access = Access(self.memory, switches)
        self.front = Front(self.notices)

    @property
    def lock(self) -> threading.RLock:
        """Held for one effect at a time."""
        return self.memory.lock

    @property
    def record(self) -> int:
        """The size of a user record in bytes, 72 or 28."""
        return self.memory.record

    @property
    def disabled(self) -> bool:
        """Whether the terminal is disabled now."""
        return self.disabled_time.active

    def disable(self, seconds: int = 0) -> None:
        """Disable it, for this long or until it is enabled."""
        self.disabled_time.begin(seconds)
        self.notices.add(f"disabled for {seconds} s" if seconds else "disabled")

    def enable(self) -> None:
        """Let people use it again."""
        if self.disabled_time.end():
            self.notices.add("enabled")

    def clear(self, *tables: str) -> None:
        """Empty tables by name: users, templates, attendance, operations."""
        with self.lock:
            self.memory.change(*(["clear", table] for table in tables))
            if "users" in tables:
                self.users.forget_waiting()
            self.logs.add_operation(OP_CLEARED)
        self.notices.add(f"cleared: {', '.join(tables)}")

    def option(self, name: str) -> str | None:
        """An option as a client reads it; the width of user ids follows its switch."""
        if name == _WIDTH_OPTION:
            return str(self.switches.user_id_width) if self.switches.tells_user_id_width else None
        return self.memory.tables.options.get(name)

    def set_option(self, name: str, value: str | None) -> None:
        """Write an option, or forget it with None: reading it is then refused."""
        with self.lock:
            self.memory.change(["option", name, value])

    def set_clock(self, when: datetime) -> None:
        """Set the clock, and log that."""
        with self.lock:
            self.clock.set(when)
            self.logs.add_operation(OP_TIME_SET)

    @property
    def display(self) -> str:
        """What stands on the display."""
        return "working…" if self.disabled else self.front.shown() or f"{self.clock.now():%H:%M}"
