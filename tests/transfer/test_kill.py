"""A copy whose bridge is killed at any frame of either terminal: nobody doubled, nobody lost, one true answer."""

from collections.abc import Callable

import pytest

from tests.support.frames import wait_for_session_end
from tests.support.waiting import wait_until
from tests.transfer.conftest import PATIENCE_S, House, enrol_ana, people_of

READING = ["CONNECT", "PREPARE_BUFFER", "FREE_DATA", "EXIT"]
WRITING = [
    "CONNECT",
    "DISABLE",
    "USER_WRQ",
    "PREPARE_DATA",
    "DATA",
    "TMP_WRITE",
    "GET_USERTEMP",
    "REFRESHDATA",
    "ENABLE",
    "EXIT",
]


@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwritten"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("name", "frame"), [*(("here", frame) for frame in READING), *(("there", frame) for frame in WRITING)]
)
def test_a_bridge_killed_at_any_frame_copies_the_user_once_and_says_so(
    make: Callable[..., House], name: str, frame: str, when: str, overwrite: bool
) -> None:
    house = make()
    enrol_ana(house["here"])
    if overwrite:
        house["there"].add_user("7", "Another")
        house["there"].add_template("7", 0, b"another thumb")
        house["there"].add_template("7", 3, b"a finger that goes")
    body = {"user_id": "7", "to": ["there"], "overwrite": overwrite, "request_id": "c"}
    with house.daemon:
        house[name].faults.add(frame, when, lambda _: house.daemon.pause())
        house.publish("here", "users/copy", body)
        wait_until(lambda: not house[name].faults.waiting(), timeout=PATIENCE_S, what="the frame")
        house.daemon.kill()
        house.daemon.start()
        answer = house.reply("here", "users/copy")
        wait_for_session_end(house["there"])

    assert (answer["status"], answer["code"]) == (200, "copied")
    assert people_of(house["there"]) == people_of(house["here"])
    assert answer["results"][0]["data"]["removed_fingers"] == [3] * overwrite
    assert not house["there"].disabled


def test_two_users_never_share_a_uid_where_somebody_took_the_uid_of_the_first_meanwhile(
    make: Callable[..., House],
) -> None:
    house = make()
    enrol_ana(house["here"], "7")
    house["here"].add_user("8", "Eva", card=88)
    there = house["there"]
    with house.daemon:
        there.faults.add("USER_WRQ", "before", lambda _: house.daemon.pause())
        house.publish("here", "users/copy", {"user_ids": ["7", "8"], "to": ["there"], "request_id": "c"})
        wait_until(lambda: not there.faults.waiting(), timeout=PATIENCE_S, what="the frame")
        house.daemon.kill()
        for user in there.users():
            there.delete_user(user.user_id)
        there.add_user("9", "Entered at the keypad", uid=1)
        house.daemon.start()
        answer = house.reply("here", "users/copy")
        wait_for_session_end(there)

    assert (answer["status"], answer["code"]) == (200, "copied")
    assert [each for each in people_of(there) if each[0] != "9"] == people_of(house["here"])
    assert len({user.uid for user in there.users()}) == 3
