"""Every command runs against a port that is made of lists: no network, no session."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from zkbridge.asyncapi.examples import example_request
from zkbridge.commands import Change, Context, HandOver, commands, inner_commands
from zkbridge.commands.api.backups import BackupFile, Backups
from zkbridge.commands.backup_content import Content
from zkbridge.commands.transfer import Person
from zkbridge.config.models import Device
from zkbridge.contract.errors import InvalidField
from zkbridge.port.capabilities import Terminal
from zkbridge.port.facts import Info, Sizes
from zkbridge.port.fingers import Ended, Finger, Ready, Step
from zkbridge.port.punches import Punch
from zkbridge.port.users import User, UserChanges, UserCopy, UserFields, UserRecord
from zkbridge.port.waker import Waker

DEVICE = Device(id="p", host="127.0.0.1", door={"enabled": True, "trust_clock": True})
NOON = datetime(2030, 1, 31, 12)  # noqa: DTZ001 - a terminal's wall clock has no time zone


#: One backup, of a user 123 without fingers; what is written or deleted is not kept.
BACKED_UP = Content(
    device_id="p",
    serial_number="S1",
    made_at="2030-01-31T08:00:00+00:00",
    algorithm="10",
    users=(Person(UserCopy("123", "Ana", "", 0, 0, 1, b"", "utf-8"), ()).write(algorithm="10", overwrite=False),),
)


class OneBackup(Backups):
    """The backups of a device that are always the same."""

    def __init__(self) -> None:
        super().__init__(Path())

    def files(self) -> list[BackupFile]:
        return [BackupFile("2030-01-31T08-00-00Z", 1)]

    def write(self, content: bytes, now: float) -> str:
        assert json.loads(content)["made_at"]
        assert now
        return "2030-01-31T08-00-00Z"

    def read(self, name: str | None) -> tuple[str, bytes]:
        return name or "2030-01-31T08-00-00Z", BACKED_UP.model_dump_json().encode()

    def delete(self, name: str) -> None:
        assert name


CONTEXT = Context(DEVICE, backups=OneBackup())


class Fields(tuple[str | int, ...]):
    """A user's record as a transport without bytes has it."""

    __slots__ = ()

    def is_held_by(self, user: User) -> bool:
        return user.record == self

    def is_cut_off_in(self, _user: User) -> bool:
        return False


def user_of(uid: int, fields: UserFields) -> User:
    permission = fields.privilege | fields.blocked
    held = (fields.user_id, fields.name, fields.password, permission, fields.card)
    return User(uid, *held, group=1, record=Fields(held))


class Table(list[User]):
    """A table of users that is a list."""

    hidden = 0

    def by_user_id(self, user_id: str) -> User | None:
        return next(iter(self.all_by_user_id(user_id)), None)

    def all_by_user_id(self, user_id: str) -> list[User]:
        return [user for user in self if user.user_id == user_id]

    def by_uid(self, uid: int) -> User | None:
        return next((user for user in self if user.uid == uid), None)

    def owners(self, uid: int) -> set[str]:
        return {user.user_id for user in self if user.uid == uid}

    def reserve(self, _uid: int, _user_id: str) -> None:
        """One request at a time."""

    def is_reserved(self, _uid: int, _user_id: str) -> bool:
        """One request at a time."""
        return False

    def next_uid(self) -> int:
        return max((user.uid for user in self), default=0) + 1


class PortOfLists:
    """All capabilities, over lists."""

    def __init__(self, *people: UserFields) -> None:
        self.table = Table(user_of(uid, person) for uid, person in enumerate(people, 1))
        self.kept_fingers = [Finger(1, 0, 1, b"old")]
        self.log = [Punch(1, "7", NOON, 1, 0)]
        self.now = NOON
        self.opened: list[int] = []

    def users(self, *, again: bool = False) -> Table:
        del again
        return self.table

    def fit(self, fields: UserFields) -> UserFields:
        return fields

    def fit_changes(self, user: User, changes: UserChanges) -> UserChanges:
        del user
        return changes

    def record_of(self, fields: UserFields, uid: int) -> UserRecord:
        return user_of(uid, fields).record

    def changed(self, user: User, changes: UserChanges) -> UserRecord:
        return self._with(user, changes).record

    def add_user(self, fields: UserFields, uid: int) -> UserRecord:
        self.table.append(user_of(uid, fields))
        return self.table[-1].record

    def change_user(self, user: User, changes: UserChanges) -> None:
        self.table[self.table.index(user)] = self._with(user, changes)

    def delete_users(self, users: Sequence[User]) -> None:
        self.table = Table(user for user in self.table if user not in users)

    def copy_of(self, user: User) -> UserCopy:
        return UserCopy(*user[1:7], record=b"", encoding="utf-8")

    def copied(self, copy: UserCopy, uid: int) -> UserRecord:
        return self._copied(copy, uid).record

    def put_copy(self, copy: UserCopy, uid: int, *, over: User | None = None) -> User:
        if over is not None:
            self.table.remove(over)
        self.table.append(self._copied(copy, uid))
        return self.table[-1]

    def keeps_user_id(self, user_id: str) -> bool:
        return len(user_id) <= 9

    def take_back(self, user: User, fields: UserFields) -> InvalidField | None:
        raise AssertionError(f"nothing is cut here: {user} {fields}")

    def fingers(self, user: User) -> list[Finger]:
        return [each for each in self.kept_fingers if each.uid == user.uid]

    def all_fingers(self) -> list[Finger]:
        return self.kept_fingers

    def finger_algorithm(self) -> str:
        return "10"

    def has_finger(self, user: User, index: int) -> bool:
        return self.template(user, index) is not None

    def template(self, user: User, index: int) -> bytes | None:
        return next((each.template for each in self.fingers(user) if each.index == index), None)

    def finger(self, user: User, index: int) -> Finger | None:
        return next((each for each in self.fingers(user) if each.index == index), None)

    def put_finger(self, user: User, finger: Finger, *, keep_flag: bool = False) -> bool:  # noqa: ARG002 - lists keep it
        self.kept_fingers.append(replace(finger, uid=user.uid))
        return True

    def end_capture(self) -> None:
        pass

    def enrol(
        self, user: User, index: int, *, timeout: float, waker: Waker, is_old: Callable[[bytes], bool]
    ) -> Iterator[Step]:
        del timeout, waker, is_old
        yield Ready()
        self.kept_fingers.append(Finger(user.uid, index, 1, b"new"))
        yield Ended("stored")

    def sizes(self) -> Sizes:
        return Sizes(records=len(self.log))

    def room(self) -> Sizes:
        return self.sizes()

    def info(self) -> Info:
        return Info(serial_number="S1")

    def clear_attendance(self) -> None:
        self.log.clear()

    def attendance(self) -> list[Punch]:
        return self.log

    def time(self) -> datetime:
        return self.now

    def set_time(self, when: datetime) -> None:
        self.now = when

    def unlock(self, seconds: int) -> None:
        self.opened.append(seconds)

    def door_open(self) -> bool:
        return bool(self.opened)

    def restart(self) -> bool:
        return True

    def delete_finger(self, user: User, index: int, *, spare_others: bool = False) -> bool:
        assert spare_others
        there = len(self.kept_fingers)
        self.kept_fingers = [each for each in self.kept_fingers if (each.uid, each.index) != (user.uid, index)]
        return len(self.kept_fingers) < there

    @staticmethod
    def _copied(copy: UserCopy, uid: int) -> User:
        return user_of(uid, UserFields(copy.user_id, copy.name, copy.password, copy.privilege, copy.card))

    def _with(self, user: User, changes: UserChanges) -> User:
        named = {name: value for name, value in changes._asdict().items() if value is not None}
        held = UserFields(user.user_id, user.name, user.password, user.role, user.card, user.blocked)
        return user_of(user.uid, held._replace(**named))


#: Beside each command's own example: fields, and the code of the answer of a terminal that holds the user 7.
CASES = [
    ("attendance/list", {}, "ok"),
    ("device/backup", {}, "ok"),
    ("device/backups", {}, "ok"),
    ("device/delete-backup", {"backup": "2030-01-31T08-00-00Z"}, "ok"),
    ("device/restart", {}, "ok"),
    ("device/restore", {}, "ok"),
    ("device/restore", {"apply": True}, "ok"),
    ("door/state", {}, "ok"),
    ("door/unlock", {"seconds": 5}, "ok"),
    ("info", {}, "ok"),
    ("ping", {}, "ok"),
    ("time/get", {}, "ok"),
    ("time/sync", {"time": "2030-02-01T08:00:00"}, "ok"),
    ("users/block", {"user_id": "7"}, "ok"),
    ("users/block", {"user_id": "9"}, "user_not_found"),
    ("users/copy", {"user_id": "7", "to": ["q"]}, "ok"),
    ("users/copy", {"user_id": "9", "to": ["q"]}, "user_not_found"),
    ("users/create", {"user_id": "8", "name": "Eva"}, "ok"),
    ("users/create", {"user_id": "7", "name": "Eva"}, "user_exists"),
    ("users/delete", {"user_id": "7"}, "ok"),
    ("users/delete", {"user_id": "9"}, "user_not_found"),
    ("users/delete-finger", {"user_id": "7", "finger_index": 0}, "ok"),
    ("users/delete-finger", {"user_id": "7", "finger_index": 6}, "finger_not_found"),
    ("users/delete-finger", {"user_id": "9", "finger_index": 0}, "user_not_found"),
    ("users/enroll-finger", {"user_id": "7", "finger_index": 6}, "ok"),
    ("users/enroll-finger", {"user_id": "7", "finger_index": 0}, "finger_exists"),
    ("users/enroll-finger", {"user_id": "9", "finger_index": 6}, "user_not_found"),
    ("users/fingers", {"user_id": "7"}, "ok"),
    ("users/fingers", {"user_id": "9"}, "user_not_found"),
    ("users/list", {}, "ok"),
    ("users/unblock", {"user_id": "7"}, "ok"),
    ("users/unblock", {"user_id": "9"}, "user_not_found"),
    ("users/update", {"user_id": "7", "name": "Eva"}, "ok"),
    ("users/update", {"user_id": "9", "name": "Eva"}, "user_not_found"),
]


def answer_code(port: PortOfLists, name: str, fields: dict[str, Any]) -> str:
    """The code of an error, or "ok" where the command did what it says and its body has what it declares."""
    asked = commands()[name]
    try:
        outcome = asked.run(port, asked.parse(fields, strict=True), CONTEXT)
        if isinstance(outcome, HandOver):
            port, asked, what = PortOfLists(), inner_commands()[outcome.command], outcome.asked[0]
            outcome = asked.run(port, asked.load(what.params), CONTEXT)
            assert not isinstance(outcome, HandOver)
        body = outcome.apply() if isinstance(outcome, Change) else outcome
        assert not isinstance(outcome, Change) or outcome.kept(port.users())
    except asked.errors as refusal:
        return refusal.code
    declared = TypeAdapter(asked.answer.data).json_schema()
    data: Any = body["data"]
    for row in data if asked.answer.rows else [data]:
        assert set(declared["required"]) <= row.keys() <= declared["properties"].keys()
    return "ok"


#: Every command that asks a terminal, with its example as its declaration has it; a list is asked for by its rows.
EXAMPLES = {name: example_request(each) for name, each in commands().items() if each.ends is None and each.each is None}
#: Each list's example, with the command that is carried out for each row.
LISTS = [(each.each, example_request(each)["users"]) for each in commands().values() if each.each is not None]
#: The user whom the examples name.
NAMED = UserFields("123", "Ana")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_command_does_its_example_on_an_empty_terminal_or_with_that_user_or_with_their_fingers(name: str) -> None:
    empty, full, enrolled = PortOfLists(), PortOfLists(NAMED), PortOfLists(NAMED)
    empty.log = []
    enrolled.kept_fingers = [Finger(1, index, 1, b"old") for index in range(10)]

    assert "ok" in {answer_code(port, name, EXAMPLES[name]) for port in (empty, full, enrolled)}


@pytest.mark.parametrize(("name", "rows"), LISTS)
def test_each_row_of_a_lists_example_is_what_its_command_does(name: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        empty, full = PortOfLists(), PortOfLists(NAMED)

        assert "ok" in {answer_code(port, name, row) for port in (empty, full)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_command_asks_for_a_capability_that_every_terminal_has(name: str) -> None:
    session = next(iter(get_type_hints(commands()[name].run).values()))

    assert session in Terminal.__mro__


@pytest.mark.parametrize(("name", "fields", "code"), CASES)
def test_a_command_answers_from_the_port_alone(name: str, fields: dict[str, Any], code: str) -> None:
    assert answer_code(PortOfLists(UserFields("7", "Ana")), name, fields) == code
