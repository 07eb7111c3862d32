"""device/backup and device/restore: nothing is lost, nothing is deleted unasked, an interrupted one goes on."""

import stat
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from tests.support.frames import wait_for_session_end
from tests.support.waiting import wait_until
from tests.transfer.conftest import INDEX, PATIENCE_S, House, enrol_ana, people_of

KINDS = [("tft", "tcp"), ("tft", "udp"), ("ma300", "udp")]


def codes(answer: dict[str, Any]) -> dict[str, str]:
    """The code of each user's entry."""
    return {entry["user_id"]: entry["code"] for entry in answer["results"]}


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_terminal_that_was_emptied_gets_all_users_back(make: Callable[..., House], kind: tuple[str, str]) -> None:
    house = make({"here": kind})
    here = house["here"]
    enrol_ana(here)
    here.add_user("8", "Eva", card=88)
    before = people_of(here)
    with house.daemon:
        made = house.ask("here", "device/backup", {})
        for user_id in ("7", "8"):
            here.delete_user(user_id)
        told = house.ask("here", "device/restore", {})
        nobody = people_of(here)
        done = house.ask("here", "device/restore", {"apply": True})
        wait_for_session_end(here)
        again = house.ask("here", "device/restore", {"apply": True, "replace": True})

    name = made["data"]["backup"]
    assert made["data"] == {"backup": name, "users": 2, "fingers": 2, "left_out": [], "device_id": "here"}
    empty: dict[str, list[str]] = {"completed": [], "changed": [], "unfit": [], "extra": [], "extra_fingers": []}
    data = {"backup": name, "same_terminal": True, "added": ["7", "8"], **empty, "unchanged": 0, "device_id": "here"}
    assert (told["code"], told["data"]) == ("compared", data)
    assert nobody == []
    assert (done["status"], codes(done)) == (200, {"7": "copied", "8": "copied"})
    assert people_of(here) == before
    assert (again["code"], again["data"]["unchanged"]) == ("compared", 2)
    (file,) = (house.daemon.state / "backups" / "here").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_no_user_is_overwritten_or_deleted_without_replace(make: Callable[..., House]) -> None:
    house = make({"here": ("tft", "tcp")})
    here = house["here"]
    enrol_ana(here)
    here.add_user("8", "Eva")
    before = people_of(here)
    with house.daemon:
        assert house.ask("here", "device/backup", {})["code"] == "backed_up"
        house.ask("here", "users/update", {"user_id": "8", "name": "Other"})
        house.ask("here", "users/delete-finger", {"user_id": "7", "finger_index": 6})
        here.add_template("7", 1, b"another finger")
        here.add_user("9", "New")
        told = house.ask("here", "device/restore", {})["data"]
        gentle = house.ask("here", "device/restore", {"apply": True})
        wait_for_session_end(here)
        names, fingers = [user.name for user in here.users()], [index for _, index in sorted(here.templates())]
        whole = house.ask("here", "device/restore", {"apply": True, "replace": True})
        wait_for_session_end(here)

    assert (told["completed"], told["changed"], told["extra"]) == (["7"], ["8"], ["9"])
    assert (told["extra_fingers"], told["unchanged"]) == (["7"], 0)
    assert fingers == [0, 1, 6]
    assert {entry["user_id"]: entry.get("removed_fingers") for entry in whole["results"]} == {
        "9": None,
        "7": [1],
        "8": [],
    }
    assert codes(gentle) == {"7": "copied"}
    assert names == ["Ana", "Other", "New"]
    assert codes(whole) == {"9": "deleted", "7": "copied", "8": "copied"}
    assert people_of(here) == before


@pytest.mark.parametrize("frame", ["DISABLE", "USER_WRQ", "DATA", "REFRESHDATA", "ENABLE"])
def test_a_restore_whose_bridge_is_killed_goes_on(make: Callable[..., House], frame: str) -> None:
    house = make({"here": ("tft", "tcp")})
    here = house["here"]
    enrol_ana(here)
    enrol_ana(here, "8")
    before = people_of(here)
    with house.daemon:
        assert house.ask("here", "device/backup", {})["code"] == "backed_up"
        for user_id in ("7", "8"):
            here.delete_user(user_id)
        wait_for_session_end(here)
        here.faults.add(frame, "after", lambda _: house.daemon.pause())
        house.publish("here", "device/restore", {"apply": True, "request_id": "r"})
        wait_until(lambda: not here.faults.waiting(), timeout=PATIENCE_S, what="the frame")
        house.daemon.kill()
        house.daemon.start()
        answer = house.reply("here", "device/restore")
        wait_for_session_end(here)

    assert (answer["status"], codes(answer)) == (200, {"7": "copied", "8": "copied"})
    assert people_of(here) == before
    assert not here.disabled


def test_backups_are_listed_and_deleted_and_a_damaged_one_is_refused(make: Callable[..., House]) -> None:
    house = make({"here": ("tft", "tcp")})
    enrol_ana(house["here"])
    with house.daemon:
        none = house.ask("here", "device/restore", {})
        names = [house.ask("here", "device/backup", {})["data"]["backup"] for _ in range(2)]
        listed = house.ask("here", "device/backups", {})
        deleted = house.ask("here", "device/delete-backup", {"backup": names[0]})
        gone = house.ask("here", "device/delete-backup", {"backup": names[0]})
        outside = house.ask("here", "device/delete-backup", {"backup": "../ledger"})
        (house.daemon.state / "backups" / "here" / f"{names[1]}.json").write_text('{"format": 1')
        damaged = house.ask("here", "device/restore", {"backup": names[1]})
        left = house.ask("here", "device/backups", {})

    assert none["code"] == gone["code"] == "backup_not_found"
    assert [row["backup"] for row in listed["data"]] == names
    assert (deleted["code"], outside["code"], damaged["code"]) == ("backup_deleted", "invalid_field", "backup_damaged")
    assert [row["backup"] for row in left["data"]] == names[1:]


def test_administrators_are_not_restored_where_the_policy_forbids_them(make: Callable[..., House]) -> None:
    house = make({"here": ("tft", "tcp")}, policy={"administrators": False})
    here = house["here"]
    here.add_user("7", "Ana", privilege=14)
    with house.daemon:
        assert house.ask("here", "device/backup", {})["code"] == "backed_up"
        here.delete_user("7")
        answer = house.ask("here", "device/restore", {"apply": True})

    assert answer["code"] == "forbidden"
    assert here.users() == []


def test_an_encrypted_backup_is_restored_only_with_its_identity_and_leaves_nothing_in_clear(
    make: Callable[..., House], tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "backup.key"
    backup = {"recipient": str(identity.to_public()), "identity_file": str(key)}
    house = make({"here": ("tft", "tcp")}, backup=backup)
    here = house["here"]
    enrol_ana(here)
    before = people_of(here)
    with house.daemon:
        made = house.ask("here", "device/backup", {})
        listed = house.ask("here", "device/backups", {})
        here.delete_user("7")
        refused = house.ask("here", "device/restore", {"apply": True})
        key.write_text(f"{identity}\n")
        key.chmod(0o600)
        done = house.ask("here", "device/restore", {"apply": True, "request_id": "r"})
        wait_for_session_end(here)
    files = [path for path in house.daemon.state.rglob("*") if path.is_file()]

    assert (made["code"], listed["data"][0]["encrypted"]) == ("backed_up", True)
    assert (refused["status"], refused["code"], str(key) in refused["error"]) == (409, "backup_encrypted", True)
    assert (done["status"], codes(done)) == (200, {"7": "copied"})
    assert people_of(here) == before
    assert f"{made['data']['backup']}.json.age" in {path.name for path in files}
    for secret in (b64encode(INDEX), INDEX, b"AGE-SECRET-KEY"):
        assert [path.name for path in files if secret in path.read_bytes()] == []
    assert "AGE-SECRET" not in house.daemon.log
