"""A ledger of every earlier version is taken over: nothing of it is lost, and nothing is done or told twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.old_ledger import PUNCH, REPLY, OldLedger, wanted
from zkbridge.cli.main import main
from zkbridge.ledger.schema import MIGRATIONS
from zkbridge.simulator import Command as Asked
from zkbridge.simulator import Simulator

LATEST = len(MIGRATIONS)
#: The first version that keeps punches.
PUNCHES = 4
#: In the usual run: the first version, the first with punches, and the one before this. `make faults` runs the others.
USUAL = {1, PUNCHES, LATEST - 1}
VERSIONS = [pytest.param(number, marks=[] if number in USUAL else pytest.mark.slow) for number in range(1, LATEST + 1)]
#: What the tables of each version are: files of it are out there, so a migration that was run once never changes.
KNOWN = [
    "beaf0426e5f5",
    "c56c40121464",
    "cb8b085a7c61",
    "f1dd6e85b136",
    "09f143f857d5",
    "65a5fcbe5891",
    "9c3320de8d7c",
    "0ad3c30b3af3",
    "f097196d0504",
    "23304c1e57ad",
]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upgrade_loses_nothing_and_does_nothing_twice(
    version: int, shared_broker: Mosquitto, tmp_path: Path
) -> None:
    old = OldLedger(tmp_path / "d" / "state", version)
    old.request(1, "accepted")
    old.request(2, "running", tried='[{"uid":2}]')
    old.request(3, "done")
    old.request(4, "sent")
    old.pending_enable()
    if version >= PUNCHES:
        old.punch()
    old.close()
    with Simulator() as simulator, Caller(shared_broker.port) as caller:
        terminal = simulator.add()
        terminal.add_user("2", "User 2", uid=2)  # request 2 has come so far
        caller.subscribe("zk/p/#")
        with Daemon(tmp_path / "d", shared_broker.port, {"p": device(terminal)}, covered=False):
            answers = {
                number: caller.wait_for(
                    REPLY, lambda each, number=number: each.json["request_id"] == f"r-{number}"
                ).json
                for number in (1, 2, 3)
            }
            caller.publish("zk/p/users/create", wanted("4") | {"request_id": "r-4"})
            repeated = caller.wait_for(REPLY, lambda each: each.json["request_id"] == "r-4").json
            wait_for_session_end(terminal)

        assert {each["code"] for each in answers.values()} == {"created"}
        assert not any(each.get("replayed") for each in answers.values())
        assert repeated["replayed"] is True
        assert [(user.uid, user.user_id) for user in terminal.users()] == [(2, "2"), (3, "1")]
        assert terminal.counts[Asked.ENABLE] >= 1
        told = [each.json["request_id"] for each in caller.messages if each.topic == REPLY]
        assert sorted(told) == ["r-1", "r-2", "r-3", "r-4"]
        punches = [each.json for each in caller.messages if each.topic == "zk/p/attendance/event"]
        assert punches == ([PUNCH] if version >= PUNCHES else [])
    with closing(sqlite3.connect(tmp_path / "d" / "state" / "ledger.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (LATEST,)


def test_a_newer_ledger_is_refused_in_words_and_stays_as_it_was(tmp_path: Path) -> None:
    old = OldLedger(tmp_path / "state", LATEST)
    old.request(1, "accepted")
    old.db.execute(f"PRAGMA user_version = {LATEST + 1}")
    old.close()
    config = {"devices": {"p": {"host": "127.0.0.1"}}, "state_dir": str(tmp_path / "state")}
    (tmp_path / "config.yaml").write_text(json.dumps(config))

    ended = CliRunner().invoke(main, ["run", "--config", str(tmp_path / "config.yaml")])

    assert ended.exit_code == 1
    assert "the state directory cannot be used" in ended.stderr
    assert "written by a newer zkbridge" in ended.stderr
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (LATEST + 1,)
        assert db.execute("SELECT state FROM requests").fetchall() == [("accepted",)]


def test_the_tables_of_an_earlier_version_never_change() -> None:
    """A new migration adds a digest at the end of KNOWN, and changes none."""
    assert [digest_of_tables(version) for version in range(1, LATEST + 1)] == KNOWN


def digest_of_tables(version: int) -> str:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(";".join(MIGRATIONS[:version]))
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        columns = [(name, db.execute(f"PRAGMA table_info({name})").fetchall()) for name in tables]
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:12]
