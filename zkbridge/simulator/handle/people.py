"""What people do to a simulated terminal: at its keypad, at its sensor, at its door."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkbridge.simulator.device import enrolment, person
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.alarms import alarm_data
from zkbridge.simulator.wire.records import Punch, Template, UserView

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from zkbridge.simulator.machine.machine import Machine


class People:
    """The part of a terminal's handle that stands for the people in front of it."""

    machine: Machine
    _loop: asyncio.AbstractEventLoop

    # Users

    @contextmanager
    def keypad(self) -> Iterator[bool]:
        """Whether the keypad can be used now; no request changes anything inside the `with`."""
        with self.machine.terminal.lock:
            yield self.machine.powered and not self.machine.terminal.disabled and not self.machine.processor.busy

    def users(self) -> list[UserView]:
        """The table of users."""
        return self.machine.terminal.users.views()

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
        return self.machine.terminal.users.add(
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
        self.machine.terminal.users.fill(count)

    def delete_user(self, user_id: str) -> None:
        """A person deletes a user at the keypad. Raises KeyError when there is none."""
        uid = self.machine.terminal.users.find(str(user_id))
        if uid is None:
            raise KeyError(user_id)
        self.machine.terminal.users.delete(uid)

    def set_user_disabled(self, user_id: str, disabled: bool) -> None:
        """Set or clear the bit of a user's privilege that blocks the user. Raises KeyError."""
        terminal = self.machine.terminal
        with terminal.lock:
            uid = terminal.users.find(str(user_id))
            if uid is None:
                raise KeyError(user_id)
            raw = terminal.users.stored[uid]
            terminal.users.write(records.with_privilege(raw, raw[2] & 0xFE | disabled))

    # Fingers

    def templates(self) -> dict[tuple[int, int], Template]:
        """The stored fingers by uid and finger."""
        terminal = self.machine.terminal
        with terminal.lock:
            return dict(terminal.fingers.stored)

    def add_template(self, user_id: str, finger: int, data: bytes | None = None, flag: int = 1) -> None:
        """Store a finger of a user, made up if need be. Raises KeyError or Refused."""
        terminal = self.machine.terminal
        uid = terminal.users.find(str(user_id))
        if uid is None:
            raise KeyError(user_id)
        made = (
            enrolment.make_template(uid, finger, self.machine.terminal.switches.template_size) if data is None else data
        )
        terminal.fingers.write(uid, finger, Template(flag, made))

    def enrol(self, script: str | Sequence[int] = "good") -> None:
        """What the person does when asked for a finger, now or next: good, bad, duplicate, timeout, or scores.

        Raises ValueError for another script.
        """
        enrolment.read_script(script)
        self._loop.call_soon_threadsafe(self.machine.enrolments.act, script)

    # Attendance

    def punch(self, user_id: str, *, verify: int = 1, state: int = 0, when: datetime | None = None) -> bool:
        """A person punches in; false when the terminal refuses, and `display` may say why."""
        if not self.machine.powered:
            return False
        attempt = person.punch(self.machine.terminal, str(user_id), verify=verify, state=state, when=when)
        if attempt is None:
            return False
        self._loop.call_soon_threadsafe(self.machine.events.announce, attempt)
        return attempt.punch is not None

    def add_punch(self, punch: Punch) -> None:
        """Put a line into the attendance log as it is, also one that no calendar has."""
        self.machine.terminal.logs.add_punch(punch)

    def attendance(self) -> list[Punch]:
        """The attendance log, oldest first."""
        terminal = self.machine.terminal
        with terminal.lock:
            return list(terminal.logs.attendance)

    def alarm(self, kind: str, user_id: str | None = None, *, match: int = 1) -> None:
        """Raise an alarm: tamper, exit_button and so on; duress and passback name a user and a way to match.

        Raises ValueError for another kind, KeyError when there is no such user.
        """
        uid = 0 if user_id is None else self.machine.terminal.users.find(str(user_id))
        if uid is None:
            raise KeyError(user_id)
        self._loop.call_soon_threadsafe(self.machine.events.announce_alarm, alarm_data(kind, uid, match))
