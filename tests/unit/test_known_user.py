"""How a user of the terminal is found by an id that is spelled in an odd way."""

from typing import Any

import pytest

from zkbridge.commands import Context, commands
from zkbridge.commands.known_user import spelled
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected, UserNotFound
from zkbridge.port.users import User, UserChanges, UserFields
from zkbridge.terminal.records.record import Record
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.terminal.records.users import encode, rewrite

DEVICE = Device(id="p", host="127.0.0.1")


class Session:
    """A terminal with these users, which nobody writes to."""

    def __init__(self, records: bytes) -> None:
        self.table = RecordTable(records, record_size=72, encoding="utf-8")

    def users(self) -> RecordTable:
        return self.table

    def fit_changes(self, _user: User, changes: UserChanges) -> UserChanges:
        return changes

    def changed(self, user: User, changes: UserChanges) -> Record:
        return rewrite(user, changes, encoding="utf-8")


def session_with_uids(*users: Any) -> Session:
    records = b"".join(
        encode(UserFields(user_id, "Ana"), uid=uid, group=1, record_size=72, encoding="utf-8") for uid, user_id in users
    )
    return Session(records)


@pytest.mark.parametrize("command", ["users/delete", "users/update", "users/enroll-finger"])
def test_a_record_whose_uid_another_user_has_too_is_neither_deleted_nor_changed(command: str) -> None:
    asked = commands()[command]
    needed: dict[str, dict[str, Any]] = {
        "users/delete": {},
        "users/update": {"name": "Eva"},
        "users/enroll-finger": {"finger_index": 6},
    }
    fields = {"user_id": "7"} | needed[command]

    with pytest.raises(DeviceRejected) as caught:
        asked.run(session_with_uids((3, "7"), (3, "8")), asked.parse(fields, strict=True), Context(DEVICE))
    assert "several users have the uid 3; none of them" in caught.value.sentence("en")


def test_a_record_that_is_there_twice_is_deleted_once() -> None:
    assert delete("7", session_with_uids((3, "7"), (3, "7"), (4, "8"))).intent["uids"] == [3]


def session_with(*user_ids: Any) -> Session:
    records = b"".join(
        encode(UserFields(user_id, "Ana"), uid=uid, group=1, record_size=72, encoding="utf-8")
        for uid, user_id in enumerate(user_ids, 1)
    )
    return Session(records)


def delete(user_id: str, session: Session, **context: Any) -> Any:
    command = commands()["users/delete"]
    return command.run(session, command.parse({"user_id": user_id}, strict=True), Context(DEVICE, **context))


@pytest.mark.parametrize(
    ("user_id", "there", "found"),
    [
        ("١٢٣", ["123"], "123"),
        ("١٢٣", ["123", "١٢٣"], "١٢٣"),
        ("123", ["١٢٣"], None),
        ("e\u0301", ["é"], "é"),
        ("\u200b1", ["1"], None),
        ("\u200b1", ["1", "\u200b1"], "\u200b1"),
    ],
)
def test_the_very_id_comes_first_and_the_spelling_of_a_new_one_after_it(
    user_id: str, there: list[str], found: str | None
) -> None:
    table = session_with(*there).users()
    user = table.by_user_id(spelled(table, user_id))

    assert (user and user.user_id) == found


def test_a_delete_that_is_settled_after_a_lost_answer_deletes_no_other_user() -> None:
    first = delete("١٢٣", session_with("123", "١٢٣"))

    assert first.intent == {"uids": [2], "user_id": "١٢٣"}
    body = delete("١٢٣", session_with("123"), asked_before=True, tried=(first.intent,))
    assert body == {"data": {"user_id": "١٢٣", "device_id": "p"}}


def test_a_delete_by_another_spelling_is_settled_by_the_user_that_it_meant() -> None:
    first = delete("١٢٣", session_with("123"))

    assert first.intent == {"uids": [1], "user_id": "123"}
    body = delete("١٢٣", session_with("5"), asked_before=True, tried=(first.intent,))
    assert body == {"data": {"user_id": "123", "device_id": "p"}}


def test_an_id_that_looks_like_one_on_the_terminal_deletes_no_user() -> None:
    with pytest.raises(UserNotFound):
        delete("\u200b123", session_with("123"))


def test_requests_for_one_user_in_two_spellings_share_no_session() -> None:
    create = commands()["users/create"].parse({"user_id": "١٢", "name": "a"}, strict=True)
    update = commands()["users/update"].parse({"user_id": "12", "card": 1}, strict=True)
    other = commands()["users/delete"].parse({"user_id": "۱۲"}, strict=True)

    assert create.key == update.key == other.key == "12"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_an_id_that_fits_in_one_of_its_spellings_is_no_fault(encoding: str) -> None:
    params = commands()["users/delete"].parse({"user_id": "١٢"}, strict=True)

    assert params.surely_wrong(Device(id="p", host="h", encoding=encoding)) == ()
