"""The uid that a new user gets, by those that are in use and reserved."""

from array import array

import pytest

from zkbridge.contract.errors import DeviceFull
from zkbridge.terminal.records.free_uids import MAX_UID, FreeUids


def free(*used: int) -> FreeUids:
    return FreeUids(array("H", used), host="192.0.2.1", port=4370)


@pytest.mark.parametrize(
    ("used", "reserved", "expected"),
    [
        ((), (), 1),
        ((1, 2), (), 3),
        ((7, 3), (), 8),
        ((1,), (5,), 6),
        ((5,), (2,), 6),
        ((MAX_UID,), (), 1),
        ((1, 2, MAX_UID), (), 3),
        ((1, MAX_UID), (2, 3), 4),
        ((1,), (MAX_UID,), 2),
    ],
)
def test_the_next_uid_is_above_the_highest_and_past_the_last_the_lowest_free(
    used: tuple[int, ...],
    reserved: tuple[int, ...],
    expected: int,
) -> None:
    uids = free(*used)
    for uid in reserved:
        uids.reserve(uid, str(uid))

    assert uids.next() == expected


def test_a_uid_that_is_reserved_after_the_first_search_is_not_offered() -> None:
    uids = free(1, MAX_UID)
    assert uids.next() == 2

    uids.reserve(2, "2")

    assert uids.next() == 3


def test_no_uid_is_left() -> None:
    with pytest.raises(DeviceFull):
        free(*range(1, MAX_UID + 1)).next()
