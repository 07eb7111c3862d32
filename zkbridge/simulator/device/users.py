"""The users of a terminal, by uid: the records that were written, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.device import rules
from zkbridge.simulator.device.logs import OP_USER_DELETED, OP_USER_WRITTEN
from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import VOICES
from zkbridge.simulator.wire.tables import template_change, user_change

if TYPE_CHECKING:
    from zkbridge.simulator.device.logs import Logs
    from zkbridge.simulator.device.memory import Memory
    from zkbridge.simulator.device.notices import Notices
    from zkbridge.simulator.device.switches import Switches
    from zkbridge.simulator.wire.records import UserView


class Users:
    """Takes, changes and removes users under the terminal's rules. Each method may be called from any thread."""

    def __init__(self, memory: Memory, switches: Switches, logs: Logs, notices: Notices) -> None:
        self.verify_modes: dict[int, int] = {}
        self._memory = memory
        self._switches = switches
        self._logs = logs
        self._notices = notices
        self._waiting: dict[int, bytes] = {}

    @property
    def stored(self) -> dict[int, bytes]:
        """The records by uid; to be changed by the methods below only."""
        return self._memory.tables.users

    def write(self, raw: bytes) -> None:
        """Take a record as a client wrote it: a new user, or the user of that uid changed. Raises Refused."""
        with self._memory.lock:
            raw = self._accepted(raw)
            uid = records.user_uid(raw)
            if self._switches.lazy_commit:
                self._waiting[uid] = raw
            else:
                self._memory.change(user_change(uid, raw))
            self._logs.add_operation(OP_USER_WRITTEN, uid)
        self._notices.add(f"user {records.user_pin(raw)} written as uid {uid}")

    def add(
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
        """Add a user as at the keypad; without a uid, one above the highest. Raises Refused or ValueError."""
        encoding = self._switches.encoding
        with self._memory.lock:
            raw = records.pack_user(
                self._memory.record,
                uid=max(self.stored, default=0) + 1 if uid is None else uid,
                user_id=user_id,
                name=name.encode(encoding),
                password=password.encode(encoding),
                privilege=privilege,
                card=card,
                group=group,
            )
            if self.find(user_id) is not None:
                raise Refused(VOICES[5])
            raw = self._accepted(raw)
            self._memory.change(user_change(records.user_uid(raw), raw))
        self._notices.add(f"user {user_id} added at the keypad as uid {records.user_uid(raw)}")
        return records.view_user(raw, encoding)

    def fill(self, count: int) -> None:
        """Add many users at once, with uids and user ids above the highest; for tests of size."""
        with self._memory.lock:
            first = max(self.stored, default=0) + 1
            pins = [int(pin) for raw in self.stored.values() if (pin := records.user_pin(raw)).isdecimal()]
            shift = max(max(pins, default=0) - first + 1, 0)
            self._memory.change(*(user_change(uid, self._filler(uid, shift)) for uid in range(first, first + count)))

    def delete(self, uid: int) -> None:
        """Remove a user and the templates; the attendance log keeps the punches. Raises Refused if unknown."""
        with self._memory.lock:
            if uid not in self.stored:
                raise Refused("no such user", self._switches.delete_unknown)
            if self._switches.delete_without_effect:
                return
            fingers = [template_change(*key, None) for key in self._memory.tables.templates if key[0] == uid]
            self._memory.change(*fingers, user_change(uid, None))
            self.verify_modes.pop(uid, None)
            self._logs.add_operation(OP_USER_DELETED, uid)
        self._notices.add(f"user with uid {uid} deleted")

    def find(self, user_id: str) -> int | None:
        """The uid of the first user with this user id."""
        with self._memory.lock:
            return rules.find(self.stored, user_id)

    def views(self) -> list[UserView]:
        """All users, in the order of the table."""
        with self._memory.lock:
            return [records.view_user(raw, self._switches.encoding) for raw in self.stored.values()]

    def as_read(self) -> list[bytes]:
        """The records as a client reads them."""
        with self._memory.lock:
            kept = list(self.stored.values())
        shown = kept if self._switches.users_shown < 0 else kept[: self._switches.users_shown]
        tail = bytes(self._switches.record_tail)
        return [(records.with_junk(raw) if self._switches.junk else raw) + tail for raw in shown]

    def clear_administrators(self) -> None:
        """Give every user the privilege 0."""
        with self._memory.lock:
            users = self.stored.items()
            self._memory.change(*[user_change(uid, records.with_privilege(raw, 0)) for uid, raw in users])

    def commit_waiting(self) -> None:
        """Make visible what `lazy_commit` held back, as after a restart."""
        with self._memory.lock:
            self._memory.change(*(user_change(uid, raw) for uid, raw in self._waiting.items()))
            self._waiting.clear()

    def forget_waiting(self) -> None:
        """Drop what belongs to users beside the table, when the table is cleared."""
        self._waiting.clear()
        self.verify_modes.clear()

    def _accepted(self, raw: bytes) -> bytes:
        return rules.accept_user(
            raw,
            record=self._memory.record,
            switches=self._switches,
            options=self._memory.tables.options,
            users=self.stored,
            waiting=self._waiting,
        )

    def _filler(self, uid: int, shift: int) -> bytes:
        return records.pack_user(
            self._memory.record,
            uid=uid,
            user_id=str(uid + shift),
            name=f"User {uid}".encode(),
            password=b"",
            privilege=0,
            card=0,
            group=1,
        )
