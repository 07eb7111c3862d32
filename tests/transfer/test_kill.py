"""A copy whose bridge is killed at any frame of either terminal: nobody doubled, nobody lost, one true answer."""

from collections.abc import Callable

import pytest

from tests.support.frames import wait_for_session_end
from tests.support.waiting import wait_until
from tests.transfer.conftest import PATIENCE_S, House, enrol_ana, people_of
from zkbridge.simulator import Command, SimulatedTerminal

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


#: Records of 72 bytes by TCP in the usual run, every other way in `make faults`.
SLOW = [("tft", "udp"), ("ma300", "tcp"), ("ma300", "udp")]
KINDS = [("tft", "tcp"), *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)]


def kind_name(kind: object) -> str | None:
    """A test's name for a profile and a transport."""
    return "-".join(kind) if isinstance(kind, tuple) else None


def kill_at(house: House, name: str, frame: str, when: str) -> None:
    """Stop the daemon at a frame of a terminal, kill it, and start it again."""
    wait_until(lambda: not house[name].faults.waiting(), timeout=PATIENCE_S, what=f"{frame} ({when})")
    house.daemon.kill()
    house.daemon.start()


def wait_for_end(terminal: SimulatedTerminal, kind: tuple[str, str]) -> None:
    """Return when the last session has ended: over UDP a terminal does not learn that the killed bridge is gone."""
    left = int(kind[1] == "udp")
    wait_until(
        lambda: not terminal.disabled and terminal.sessions_open <= left and terminal.counts[Command.EXIT] > 0,
        what="the end of the session",
    )


@pytest.mark.parametrize("kind", KINDS, ids=kind_name)
@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwritten"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "where", [*(("here", frame) for frame in READING), *(("there", frame) for frame in WRITING)], ids="-".join
)
def test_a_bridge_killed_at_any_frame_copies_the_user_once_and_answers_that(
    make: Callable[..., House], kind: tuple[str, str], where: tuple[str, str], when: str, *, overwrite: bool
) -> None:
    name, frame = where
    house = make({"here": ("tft", "tcp"), "there": kind})
    enrol_ana(house["here"])
    if overwrite:
        house["there"].add_user("7", "Another"[: 8 if kind[0] == "ma300" else None])
        house["there"].add_template("7", 0, b"another thumb")
        house["there"].add_template("7", 3, b"a finger that goes")
    body = {"user_id": "7", "to": ["there"], "overwrite": overwrite, "request_id": "c"}
    with house.daemon:
        house[name].faults.add(frame, when, lambda _: house.daemon.pause())
        house.publish("here", "users/copy", body)
        kill_at(house, name, frame, when)
        answer = house.reply("here", "users/copy")
        wait_for_end(house["there"], kind)

    assert (answer["status"], answer["code"]) == (200, "copied")
    assert people_of(house["there"]) == people_of(house["here"])
    assert answer["results"][0]["data"]["removed_fingers"] == [3] * overwrite
    assert not house["there"].disabled


@pytest.mark.slow
@pytest.mark.parametrize("kind", [("tft", "tcp"), *SLOW], ids="-".join)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("frame", ["CONNECT", "DELETE_USER", *WRITING[1:]])
def test_a_bridge_killed_at_any_frame_of_a_restore_leaves_what_the_backup_holds(
    make: Callable[..., House], kind: tuple[str, str], frame: str, when: str
) -> None:
    house = make({"here": kind})
    here = house["here"]
    enrol_ana(here)
    enrol_ana(here, "8")
    before = people_of(here)
    with house.daemon:
        assert house.ask("here", "device/backup", {})["code"] == "backed_up"
        here.delete_user("7")
        here.add_template("8", 3, b"a finger that goes")
        here.add_user("9", "New")
        wait_for_session_end(here)
        here.faults.add(frame, when, lambda _: house.daemon.pause())
        house.publish("here", "device/restore", {"apply": True, "replace": True, "request_id": "r"})
        kill_at(house, "here", frame, when)
        answer = house.reply("here", "device/restore")
        wait_for_end(here, kind)

    codes = {entry["user_id"]: entry["code"] for entry in answer["results"]}
    assert (answer["status"], codes) == (200, {"9": "deleted", "7": "copied", "8": "copied"})
    assert people_of(here) == before
    assert {entry["user_id"]: entry.get("removed_fingers") for entry in answer["results"]}["8"] == [3]
    assert not here.disabled


def test_two_users_never_share_a_uid_where_the_first_uid_was_taken_meanwhile(
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
