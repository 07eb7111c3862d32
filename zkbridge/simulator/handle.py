"""One simulated terminal as tests, the control interface and the screen hold it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zkbridge.simulator.device import person, store
from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.records import Punch, Template, UserView

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from datetime import datetime

    from zkbridge.simulator.device.journal import Exchange
    from zkbridge.simulator.device.switches import Switches
    from zkbridge.simulator.machine import Machine
    from zkbridge.simulator.network.faults import Faults

_Result = TypeVar("_Result")

#: First bytes of the alarms that are documented, and how many bytes they have (zk-protocol realtime.md).
ALARMS = {
    "misoperation": (0x3A, 4),
    "tamper": (0x37, 4),
    "exit_button": (0x35, 4),
    "door_closing": (0x54, 8),
    "duress": (0x20, 12),
    "passback": (0x22, 12),
}


class SimulatedTerminal:
    """A terminal that runs. Methods may be called from any thread; those that change its power wait for it."""

    def __init__(self, machine: Machine, loop: asyncio.AbstractEventLoop) -> None:
        self.machine = machine
        self._loop = loop
        self._listeners: list[Callable[[str], None]] = []
        self._loop_thread = threading.get_ident()
        self.switches.watch(self._switch_set)
        machine.terminal.on_change = self._changed

    # Where and how

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self.machine.host

    @property
    def port(self) -> int:
        """The port of TCP and UDP."""
        return self.machine.port

    @property
    def profile(self) -> str:
        """The name of its profile."""
        return self.machine.terminal.profile.name

    @property
    def switches(self) -> Switches:
        """Its behaviours, by name."""
        return self.machine.terminal.switches

    @property
    def faults(self) -> Faults:
        """What goes wrong next."""
        return self.machine.faults

    @property
    def latency(self) -> float:
        """Seconds before every answer."""
        return self.switches.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.switches.latency = seconds

    @property
    def comm_key(self) -> int:
        """The communication key; changing it leaves open sessions alone."""
        return self.machine.comm_key

    @comm_key.setter
    def comm_key(self, key: int) -> None:
        self.machine.comm_key = key

    # Users

    @contextmanager
    def keypad(self) -> Iterator[bool]:
        """Whether somebody can use the keypad just now; no request changes anything until the person is done."""
        with self.machine.terminal.lock:
            yield self.powered and not self.disabled and not self.machine.at_work

    def users(self) -> list[UserView]:
        """The table of users."""
        return self.machine.terminal.views()

    def add_user(
        self,
        user_id: str,
        name: str = "",
        *,
        uid: int | None = None,
        password: str = "",
        privilege: int = 0,
        card: int = 0,
        group: int = 1,
    ) -> UserView:
        """A person adds a user at the keypad. Raises Refused (full, duplicate) or ValueError (does not fit)."""
        return self.machine.terminal.add_user(
            user_id=str(user_id),
            name=name,
            uid=uid,
            password=password,
            privilege=privilege,
            card=card,
            group=group,
        )

    def fill_users(self, count: int) -> None:
        """Add many users at once."""
        self.machine.terminal.fill_users(count)

    def delete_user(self, user_id: str) -> None:
        """A person deletes a user at the keypad. Raises KeyError when there is none."""
        uid = self.machine.terminal.find_user(str(user_id))
        if uid is None:
            raise KeyError(user_id)
        self.machine.terminal.delete_user(uid)

    def set_user_disabled(self, user_id: str, disabled: bool) -> None:
        """Set or clear the bit of a user's privilege that keeps him out. Raises KeyError."""
        terminal = self.machine.terminal
        with terminal.lock:
            uid = terminal.find_user(str(user_id))
            if uid is None:
                raise KeyError(user_id)
            raw = terminal.users[uid]
            terminal.write_user(records.with_privilege(raw, raw[2] & 0xFE | disabled))

    # Fingers

    def templates(self) -> dict[tuple[int, int], Template]:
        """The stored fingers by uid and finger."""
        terminal = self.machine.terminal
        with terminal.lock:
            return dict(terminal.templates)

    def add_template(self, user_id: str, finger: int, data: bytes | None = None, flag: int = 1) -> None:
        """Store a finger of a user, made up if need be. Raises KeyError or Refused."""
        terminal = self.machine.terminal
        uid = terminal.find_user(str(user_id))
        if uid is None:
            raise KeyError(user_id)
        made = person.make_template(uid, finger, self.switches.template_size) if data is None else data
        terminal.write_template(uid, finger, Template(flag, made))

    def enrol(self, script: str | Sequence[int] = "good") -> None:
        """What the person does when asked for a finger, now or next: good, bad, duplicate, timeout, or scores.

        Raises ValueError for another word.
        """
        person.read_script(script)
        self._loop.call_soon_threadsafe(self.machine.enrol, script)

    # Attendance

    def punch(self, user_id: str, *, verify: int = 1, state: int = 0, when: datetime | None = None) -> bool:
        """A person punches in; false when the terminal refuses, and `display` may say why."""
        if not self.machine.powered:
            return False
        punched = person.punch(self.machine.terminal, str(user_id), verify=verify, state=state, when=when)
        if punched is None:
            return False
        self._loop.call_soon_threadsafe(self.machine.announce, punched)
        return True

    def add_punch(self, punch: Punch) -> None:
        """Put a line into the attendance log as it is, also one that no calendar has."""
        self.machine.terminal.record_punch(punch)

    def attendance(self) -> list[Punch]:
        """The attendance log, oldest first."""
        terminal = self.machine.terminal
        with terminal.lock:
            return list(terminal.attendance)

    def alarm(self, kind: str) -> None:
        """Something is wrong at the door: tamper, duress and so on. Raises ValueError for another word."""
        if kind not in ALARMS:
            raise ValueError(f"{kind!r} is not one of {', '.join(ALARMS)}")
        first, size = ALARMS[kind]
        data = first.to_bytes(4, "little").ljust(size, b"\0")
        self._loop.call_soon_threadsafe(self.machine.announce_alarm, data)

    # What it shows

    @property
    def disabled(self) -> bool:
        """Whether people are kept off."""
        return self.machine.terminal.disabled

    def disabled_spans(self) -> list[float]:
        """Seconds of every time it was disabled; one that lasts counts until now."""
        return self.machine.terminal.curfew.spans()

    @property
    def display(self) -> str:
        """What stands on the display."""
        return self.machine.terminal.display if self.machine.powered else "(off)"

    @property
    def door_open(self) -> bool:
        """Whether the door is open just now."""
        return self.machine.terminal.door_open

    @property
    def time(self) -> datetime:
        """What its clock shows."""
        return self.machine.terminal.now()

    def option(self, name: str) -> str | None:
        """One of its options, None when it does not know it."""
        return self.machine.terminal.option(name)

    def set_option(self, name: str, value: str | None) -> None:
        """Write an option, or make the terminal refuse it with None."""
        self.machine.terminal.set_option(name, value)

    # Connections

    @property
    def sessions_open(self) -> int:
        """Sessions begun by CONNECT and not ended."""
        return self.machine.connections.sessions_open

    @property
    def connections_accepted(self) -> int:
        """TCP connections so far, and UDP clients."""
        return self.machine.connections.accepted

    @property
    def round_trips(self) -> int:
        """How often a client has asked so far; requests that came together count as one."""
        return self.machine.connections.round_trips

    @property
    def log(self) -> list[Exchange]:
        """The last frames in and out."""
        return list(self.machine.journal.frames)

    @property
    def counts(self) -> Counter[int]:
        """Requests so far, by command number."""
        return self.machine.journal.counts

    # Power and place

    @property
    def powered(self) -> bool:
        """Whether it runs."""
        return self.machine.powered

    def power_off(self, how: str = "reset") -> None:
        """Pull the plug: connections are `reset`, `close`d, or left `silent`ly dead; the tables stay."""
        if how not in ("reset", "close", "silent"):
            raise ValueError(f"how: {how!r} is not reset, close or silent")
        self._do(self.machine.power_off(how))

    def power_on(self) -> None:
        """Give it power again, on the same port."""
        self._do(self.machine.power_on())

    def restart(self) -> None:
        """Off and on; connections are reset, or left dead if the switch `silent_restart` says so."""
        self.power_off("silent" if self.switches.silent_restart else "reset")
        self.power_on()

    def move(self, port: int = 0, host: str | None = None) -> None:
        """Give it another address, as DHCP does; clients of the old one hear nothing more."""
        self._do(self.machine.move(host or self.host, port))

    # Tables in a file

    def snapshot(self, path: str | Path) -> None:
        """Write the tables to a file."""
        store.write_state(Path(path), self.machine.terminal.changes())

    def restore(self, path: str | Path) -> None:
        """Make the tables what a file says; nothing changes when it cannot be read.

        Raises OSError, or ValueError when it is of another kind of terminal.
        """
        self.machine.terminal.load(store.read_changes(Path(path)))

    # News

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call a function with a line of text for whatever changes, in whatever thread that happens."""
        self._listeners.append(listener)

    def _changed(self, text: str) -> None:
        if text == "enabled":
            self._loop.call_soon_threadsafe(self.machine.notice_enabled)
        for listener in self._listeners:
            listener(text)

    def _switch_set(self, name: str) -> None:
        if name == "transport":
            self._do(self.machine.listen_again())

    def _do(self, work: Coroutine[Any, Any, _Result]) -> _Result | None:
        """Have work done in the loop; wait for it unless this is the loop, as in a fault's function."""
        if threading.get_ident() == self._loop_thread:
            self._loop.create_task(work)
            return None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


__all__ = ["Refused", "SimulatedTerminal"]
