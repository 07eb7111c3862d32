"""What commands may ask of a terminal, by capability: a transport implements these, and no command knows which.

Every method raises TerminalError (`contract/errors.py`) when the terminal fails, refuses or cannot be reached, and
Unsupported where the terminal or its transport has no way to do what is asked; each docstring names what else is
raised. Users are exchanged as fields: a transport alone knows the bytes of a record.
A transport where the terminal only calls out reads users and punches by queries that the terminal fetches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from zkbridge.contract.errors import InvalidField
from zkbridge.port.facts import Info, Sizes
from zkbridge.port.fingers import Finger, Step
from zkbridge.port.punches import Punch
from zkbridge.port.users import User, UserChanges, UserCopy, UserFields, UserRecord, UserTable
from zkbridge.port.waker import Waker


class UserReader(Protocol):
    """The users that a terminal holds."""

    def users(self, *, again: bool = False) -> UserTable:
        """The table, read once for a session, or `again`. Raises DeviceRejected (`table`) where it cannot be read."""

    def copy_of(self, user: User) -> UserCopy:
        """The user, to be written to another terminal."""


class UserStore(UserReader, Protocol):
    """Users that can be written and deleted, while people are kept off the terminal."""

    def fit(self, fields: UserFields) -> UserFields:
        """The user as this terminal will hold it: a name may be cut. Raises InvalidField with every fault."""

    def fit_changes(self, user: User, changes: UserChanges) -> UserChanges:
        """The changes as this terminal will hold them, as `fit`. Raises InvalidField with every fault."""

    def record_of(self, fields: UserFields, uid: int) -> UserRecord:
        """The record that `add_user` writes. Raises InvalidField."""

    def changed(self, user: User, changes: UserChanges) -> UserRecord:
        """The record that `change_user` writes: equal to `user.record` where nothing changes. Raises InvalidField."""

    def add_user(self, fields: UserFields, uid: int) -> UserRecord:
        """Write a new user and return the record. Raises InvalidField, DeviceFull, DeviceRejected."""

    def change_user(self, user: User, changes: UserChanges) -> None:
        """Change what is named, and leave every other bit of the user, the templates included.

        Raises InvalidField, DeviceRejected.
        """

    def copied(self, copy: UserCopy, uid: int) -> UserRecord:
        """The record that `put_copy` writes: bit for bit that of the other terminal where the form is the same.

        Raises InvalidField with what does not fit this terminal; a name may be cut, as by `fit`.
        """

    def put_copy(self, copy: UserCopy, uid: int, *, over: User | None = None) -> User:
        """Write another terminal's user as a new one, or `over` the one of this uid; returns what was written.

        Raises InvalidField, DeviceFull, DeviceRejected.
        """

    def delete_users(self, users: Sequence[User]) -> None:
        """Delete users with their templates. Raises DeviceRejected where the terminal refuses all of them."""

    def keeps_user_id(self, user_id: str) -> bool:
        """Whether the terminal is known to keep a user_id of this length whole."""

    def take_back(self, user: User, fields: UserFields) -> InvalidField | None:
        """Delete a user whose user_id was cut; returns the fault of `fields`, None where it was not deleted."""


class FingerReader(UserReader, Protocol):
    """The fingers that a terminal holds."""

    def fingers(self, user: User) -> list[Finger]:
        """The fingers of one user. Raises DeviceRejected (`templates`) when they cannot be read."""

    def all_fingers(self) -> list[Finger]:
        """Every finger on the terminal, with its flag.

        Raises DeviceRejected (`templates`) when they cannot be read, or are fewer than the terminal counts.
        """

    def finger_algorithm(self) -> str | None:
        """The version of the algorithm that its templates are made for; None where the terminal does not say."""


class FingerStore(FingerReader, Protocol):
    """Fingers that can be enrolled, written and deleted."""

    def sizes(self) -> Sizes:
        """The terminal's own counts and capacities, read now; None for each that it does not report."""

    def room(self) -> Sizes:
        """The same, asked again only where something was written in this conversation since."""

    def has_finger(self, user: User, index: int) -> bool:
        """Whether the terminal holds this finger (0 to 9) of this user."""

    def finger(self, user: User, index: int) -> Finger | None:
        """One finger with its template, None where there is none."""

    def template(self, user: User, index: int) -> bytes | None:
        """One template, None where there is none. Raises DeviceRejected where single ones cannot be read."""

    def put_finger(self, user: User, finger: Finger, *, keep_flag: bool = False) -> bool:
        """Write a finger that was read before; whether the terminal holds just this one now.

        With `keep_flag` it is not written where it could only be written as a valid one and is none: a finger for use
        under duress would open the door and raise no alarm.
        """

    def delete_finger(self, user: User, index: int, *, spare_others: bool = False) -> bool:
        """Delete one finger; whether there was one.

        With `spare_others` it raises DeviceRejected where the terminal might delete others of the user with it.
        """

    def enrol(
        self, user: User, index: int, *, timeout: float, waker: Waker, is_old: Callable[[bytes], bool]
    ) -> Iterator[Step]:
        """Let a person enrol a finger within `timeout` seconds; the last step is Ended, and `waker` cancels."""

    def end_capture(self) -> None:
        """Have the terminal ask for no finger any more. Raises nothing."""


class PunchLog(Protocol):
    """The log of punches."""

    def attendance(self) -> Sequence[Punch]:
        """The whole log, oldest first. Raises DeviceRejected (`log`) when it cannot be read whole."""

    def sizes(self) -> Sizes:
        """The terminal's own counts and capacities, read now; None for each that it does not report."""

    def clear_attendance(self) -> None:
        """Delete every punch of the log. Raises Unsupported, DeviceRejected."""


class TerminalClock(Protocol):
    """The terminal's wall clock, without a time zone."""

    def time(self) -> datetime | None:
        """What it shows, to the second; None where it shows no date."""

    def set_time(self, when: datetime) -> None:
        """Set it to what `when` shows. Raises DeviceRejected."""


class Door(Protocol):
    """The lock that the terminal drives."""

    def unlock(self, seconds: int) -> None:
        """Open for some seconds; never to be asked twice. Raises DeviceRejected."""

    def door_open(self) -> bool:
        """Whether it is open. Raises DeviceRejected (`door_state`) where the terminal does not say."""


class Power(Protocol):
    """The terminal's own computer."""

    def restart(self) -> bool:
        """Restart it, and end the conversation; False where it ended the connection instead of an answer.

        Never to be asked twice. Raises DeviceRejected.
        """


class Facts(TerminalClock, Protocol):
    """What a terminal says of itself, its clock included."""

    def info(self) -> Info:
        """Serial number, model, firmware, counts; "" or None for what it does not say."""


class Terminal(UserStore, FingerStore, PunchLog, Facts, Door, Power, Protocol):
    """All capabilities: what a session offers to the command that it runs."""
