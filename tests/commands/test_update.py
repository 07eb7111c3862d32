"""An update leaves every bit that it does not name; a delete is honest after a crash."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.commands.users_update import Update
from zkbridge.simulator import Command, Simulator, TerminalConfig
from zkbridge.terminal.records.users import decode, rewrite

#: Where each field stands in a record of this size; of the permission byte (2) an update may touch the role only.
PLACES = {
    72: {"name": range(11, 35), "password": range(3, 11), "card": range(35, 39), "privilege": range(2, 3)},
    28: {"name": range(8, 16), "password": range(3, 8), "card": range(16, 20), "privilege": range(2, 3)},
}
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text("aeñ", min_size=1, max_size=4),
        "password": st.text("0123456789", max_size=5),
        "card": st.integers(0, 2**32 - 1),
        "privilege": st.sampled_from([0, 14]),
    },
).filter(bool)


@given(raw=st.sampled_from([72, 28]).flatmap(lambda size: st.binary(min_size=size, max_size=size)), changes=CHANGES)
def test_what_is_not_named_stays_bit_for_bit(raw: bytes, changes: dict[str, Any]) -> None:
    user = decode(raw, encoding="utf-8")
    wanted = rewrite(user, Update(user_id="1", **changes).changes(), encoding="utf-8")

    touched = {at for name in changes for at in PLACES[len(raw)][name]}
    assert len(wanted) == len(raw)
    assert [at for at in range(len(raw)) if wanted[at] != raw[at] and at not in touched] == []
    assert (wanted[2] ^ raw[2]) & 0b11110001 == 0
    now = decode(wanted, encoding="utf-8")
    for name in changes.keys() - {"privilege"}:
        assert getattr(now, name) == changes[name]
    if "privilege" in changes:
        assert now.privilege & 0b1110 == changes["privilege"]


@pytest.mark.parametrize(("profile", "transport"), [("tft", "tcp"), ("bw", "udp")])
def test_a_user_from_the_keypad_keeps_all_but_the_card(
    tmp_path: Path, broker: Mosquitto, profile: str, transport: str
) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile=profile, junk=True))
        terminal.add_user("5", "Ana", password="12", privilege=6, card=1, group=7)
        terminal.set_user_disabled("5", True)
        (before,) = terminal.users()
        with (
            Daemon(tmp_path / "d", broker.port, {"p": device(terminal, transport=transport)}),
            Caller(broker.port) as caller,
        ):
            caller.subscribe("zk/p/users/update/reply")
            caller.publish("zk/p/users/update", {"user_id": "5", "card": 2})
            assert caller.wait_for("zk/p/users/update/reply").json["code"] == "updated"
        (after,) = terminal.users()

    assert (after.card, after.privilege, after.group, after.password) == (2, 7, 7, "12")
    assert after.name == before.name


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delete_that_a_crash_interrupted_ends_with_success(tmp_path: Path, broker: Mosquitto, when: str) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.fill_users(3)
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)})
        with daemon, Caller(broker.port) as caller:
            caller.subscribe("zk/p/users/delete/reply")
            terminal.faults.add(on="DELETE_USER", when=when, do=lambda _: daemon.pause())
            caller.publish("zk/p/users/delete", {"user_id": "2"})
            wait_until(lambda: terminal.counts[Command.DELETE_USER] == 1, what="the delete")
            daemon.kill()
            daemon.start()
            answer = caller.wait_for("zk/p/users/delete/reply", timeout=20).json
            caller.publish("zk/p/users/delete", json.dumps({"user_id": "2", "request_id": "new"}))
            again = caller.wait_for("zk/p/users/delete/reply").json

    assert answer["code"] == "deleted"
    assert again["code"] == "user_not_found"
    assert [user.user_id for user in terminal.users()] == ["1", "3"]


def test_a_terminal_that_confirms_a_delete_and_keeps_the_user_is_reported(tmp_path: Path, broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft", delete_without_effect=True))
        terminal.fill_users(2)
        with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}), Caller(broker.port) as caller:
            caller.subscribe("zk/p/users/delete/reply")
            caller.publish("zk/p/users/delete", {"user_id": "2"})
            answer = caller.wait_for("zk/p/users/delete/reply").json

    assert answer["code"] == "device_rejected"
    assert "todavía" in answer["error"]
