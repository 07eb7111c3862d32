"""Every command runs against a port that is made of lists: no network, no session."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

import pytest

from zkbridge.commands import Change, Context, commands
from zkbridge.config.models import Device
from zkbridge.contract.errors import BridgeError
from zkbridge.terminal.fingers import Ended, Ready
from zkbridge.terminal.machine import Info
from zkbridge.terminal.protocol.sizes import Sizes
from zkbridge.terminal.records.punches import Punch
from zkbridge.terminal.records.templates import Finger
from zkbridge.terminal.records.user_table import UserTable
from zkbridge.terminal.records.users import User, UserFields, encode

DEVICE = Device(id="p", host="127.0.0.1", door={"enabled": True, "trust_clock": True})
NOON = datetime(2030, 1, 31, 12)  # noqa: DTZ001 - a terminal's wall clock has no time zone


def record(uid: int, user_id: str, name: str) -> bytes:
    return encode(UserFields(user_id, name), uid=uid, group=1, record_size=72, encoding="utf-8")


class PortOfLists:
    """All capabilities, over lists."""

    def __init__(self) -> None:
        self.records = [record(1, "7", "Ana")]
        self.kept_fingers = [Finger(1, 0, 1, b"old")]
        self.log = [Punch(1, "7", NOON, 1, 0)]
        self.now = NOON
        self.opened = []

    def users(self, *, again: bool = False) -> UserTable:
        del again
        return UserTable(b"".join(self.records), record_size=72, encoding="utf-8")

    def fit(self, fields: UserFields) -> UserFields:
        return fields

    def add_user(self, fields: UserFields, uid: int) -> bytes:
        self.records.append(self.record_of(fields, uid))
        return self.records[-1]

    def change_user(self, raw: bytes) -> None:
        self.records = [raw if each[:2] == raw[:2] else each for each in self.records]

    def delete_users(self, uids: Collection[int]) -> None:
        self.records = [each for each in self.records if int.from_bytes(each[:2], "little") not in uids]

    def record_of(self, fields: UserFields, uid: int) -> bytes:
        return encode(fields, uid=uid, group=1, record_size=72, encoding="utf-8")

    def keeps_user_id(self, _user_id: str) -> bool:
        return True

    def fingers(self, uid: int) -> list[Finger]:
        return [each for each in self.kept_fingers if each.uid == uid]

    def has_finger(self, uid: int, index: int) -> bool:
        return self.template(uid, index) is not None

    def template(self, uid: int, index: int) -> bytes | None:
        return next((each.template for each in self.fingers(uid) if each.index == index), None)

    def enrol(self, user: User, index: int, **_how: Any) -> Iterator[Ended | Ready]:
        yield Ready()
        self.kept_fingers.append(Finger(user.uid, index, 1, b"new"))
        yield Ended("stored")

    def sizes(self) -> Sizes:
        return Sizes()

    def info(self) -> Info:
        return Info(serial_number="S1")

    def attendance(self) -> list[Punch]:
        return self.log

    def time(self) -> datetime:
        return self.now

    def set_time(self, when: datetime) -> None:
        self.now = when

    def unlock(self, seconds: int) -> None:
        self.opened.append(seconds)

    def door_open(self):
        return bool(self.opened)

    def restart(self):
        return True

    def delete_finger(self, user, index: int, *, spare_others=False):
        assert spare_others
        self.kept_fingers = [each for each in self.kept_fingers if (each.uid, each.index) != (user.uid, index)]


#: Command, fields, the code of the answer.
CASES = [
    ("attendance/list", {}, "ok"),
    ("device/restart", {}, "ok"),
    ("door/state", {}, "ok"),
    ("door/unlock", {"seconds": 5}, "ok"),
    ("info", {}, "ok"),
    ("ping", {}, "ok"),
    ("time/get", {}, "ok"),
    ("time/sync", {"time": "2030-02-01T08:00:00"}, "ok"),
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
    ("users/update", {"user_id": "7", "name": "Eva"}, "ok"),
    ("users/update", {"user_id": "9", "name": "Eva"}, "user_not_found"),
]


def test_every_command_that_asks_a_terminal_is_among_the_cases() -> None:
    assert {name for name, _, _ in CASES} == {name for name, each in commands().items() if each.ends is None}


def answer_code(name: str, fields: dict[str, Any]) -> str | dict[str, Any]:
    """The code of an error, or "ok" where the command did what it says and its body has data."""
    port, asked = PortOfLists(), commands()[name]
    try:
        body = asked.run(port, asked.parse(fields, strict=True), Context(DEVICE))
        if isinstance(body, Change):
            change, body = body, body.apply()
            assert change.kept(port.users())
    except BridgeError as error:
        return error.code
    return "ok" if "data" in body else body


@pytest.mark.parametrize(("name", "fields", "code"), CASES)
def test_a_command_answers_from_the_port_alone(name: str, fields: dict[str, Any], code: str) -> None:
    assert answer_code(name, fields) == code
