"""Which uid a request writes a new user under, after an earlier attempt and beside the other requests of a session."""

import struct
from typing import Any

import pytest

from tests.commands.test_port_of_lists import DEVICE
from zkbridge.commands import Context
from zkbridge.commands.uids import choose_uid
from zkbridge.terminal.records.user_table import RecordTable


def table(*uids: int) -> RecordTable:
    records = b"".join(struct.pack("<H22xI", uid, 1000 + uid) for uid in uids)
    return RecordTable(records, record_size=28, encoding="utf-8", host="10.0.0.5", port=4370)


def after(*uids: int) -> Context:
    """What a request knows that was asked under these uids before."""
    intents: list[Any] = [{"uid": uid} for uid in uids]
    return Context(DEVICE, asked_before=bool(uids), tried=tuple(intents))


@pytest.mark.parametrize(
    ("used", "tried", "is_cut", "expected"),
    [
        ((), (), False, 1),
        ((3,), (), False, 4),
        ((3,), (4,), False, 4),
        ((3,), (4, 9), False, 9),
        ((3, 4), (4,), False, 5),
        ((3, 4), (4,), True, 4),
    ],
)
def test_the_uid_of_the_last_attempt_is_used_again_where_it_is_free(
    used: tuple[int, ...], tried: tuple[int, ...], is_cut: bool, expected: int
) -> None:
    assert choose_uid(table(*used), "7", after(*tried), is_cut=lambda _user, _uid: is_cut) == expected


def test_two_requests_of_a_session_never_get_one_uid_whatever_they_tried_before() -> None:
    users = table(1, 2)  # somebody was entered under uid 2, which the first request tried

    chosen = [choose_uid(users, who, after(uid), is_cut=lambda _user, _uid: False) for who, uid in (("7", 2), ("8", 3))]

    assert chosen == [3, 4]


def test_a_request_that_is_planned_once_more_keeps_its_uid() -> None:
    users = table(1)

    chosen = [choose_uid(users, "7", after(2), is_cut=lambda _user, _uid: False) for _ in range(2)]

    assert chosen == [2, 2]
