"""The machine under the daemon: a full or read-only disk, no descriptors, a jumping clock, an old or damaged ledger."""

import json
import os
import resource
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.frames import FRAMES
from tests.faults.site import Break, Site, new_site
from tests.support.caller import Caller
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.bridge.bridge import Bridge
from zkbridge.config import loader
from zkbridge.ledger.schema import MIGRATIONS

WRITE, ENABLE = FRAMES[8], FRAMES[11]
#: Bytes that any file of the daemon may have: its log has room, a request in the ledger has none.
FULL = 12_000
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def _fill_disk(site: Site) -> None:
    resource.prlimit(site.daemon.pid, resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))


def _empty_disk(site: Site) -> None:
    resource.prlimit(site.daemon.pid, resource.RLIMIT_FSIZE, UNLIMITED)


def test_a_request_that_finds_the_disk_full_is_not_acknowledged_and_done_once_there_is_room(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.start()
        _fill_disk(site)
        request = site.user()
        caller.publish(site.topic(), request)
        wait_until(lambda: "they are not acknowledged" in site.daemon.log, timeout=30)
        assert site.daemon.running
        assert len(site.terminal.users()) == 3

        _empty_disk(site)

        assert [answer.json["code"] for answer in site.settle(caller)] == ["created"]
        site.check(request)


def test_an_answer_that_finds_the_disk_full_is_kept_once_there_is_room(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.start()
        site.at(WRITE, lambda: _fill_disk(site), effect=True)
        request = site.user()
        caller.publish(site.topic(), request)
        wait_until(lambda: "cannot be kept yet" in site.daemon.log, timeout=30)
        wait_until(lambda: not site.terminal.disabled, what="people to be let in while the disk is full")

        _empty_disk(site)

        assert [answer.json["code"] for answer in site.settle(caller)] == ["created"]
        site.check(request)


def test_a_kill_while_the_disk_is_full_costs_no_answer(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.start()
        site.at(WRITE, lambda: _fill_disk(site), effect=True)
        request = site.user(request_id="r-1")
        caller.publish(site.topic(), request)
        wait_until(lambda: "cannot be kept yet" in site.daemon.log, timeout=30)

        site.daemon.kill()
        site.daemon.start()

        assert [answer.json["code"] for answer in site.settle(caller)] == ["created"]
        site.check(request)


def test_a_ledger_that_turns_read_only_is_waited_for(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.daemon.folder.mkdir(parents=True, exist_ok=True)
        path = site.daemon.folder / "config.yaml"
        path.write_text(json.dumps(site.daemon.config))
        bridge = Bridge(loader.load(path, {}))
        bridge.start()
        try:
            wait_until(lambda: bridge.parts.mqtt.is_connected)
            bridge.parts.ledger.database._db.execute("PRAGMA query_only = ON")
            request = site.user()
            caller.publish(site.topic(), request)
            wait_until(lambda: not bridge.parts.mqtt.is_connected, what="the connection to be given up")
            assert bridge.failure is None

            wait_until(lambda: _writable_again(bridge), what="the ledger to be free")

            assert caller.wait_for(f"{site.topic()}/reply", timeout=60).json["code"] == "created"
            assert bridge.is_well()
        finally:
            bridge.stop()
        site.check(request)


def _writable_again(bridge: Bridge) -> bool:
    with bridge.parts.ledger.database._lock:
        bridge.parts.ledger.database._db.execute("PRAGMA query_only = OFF")
    return True


@pytest.mark.parametrize("folder", ["/proc/zkbridge", "/dev/null/zkbridge"])
def test_a_state_folder_that_cannot_be_used_ends_the_start_with_a_sentence(
    tmp_path: Path, shared_broker: Mosquitto, folder: str
) -> None:
    with new_site(tmp_path, shared_broker.port, state_dir=folder) as site:
        site.daemon.start(online=False)

        assert site.daemon.wait() == 1
        assert "the state directory cannot be used: " in site.daemon.log
        assert "Traceback" not in site.daemon.log


def _use_up_descriptors(site: Site) -> None:
    _, hard = resource.prlimit(site.daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(site.daemon.pid, resource.RLIMIT_NOFILE, (3, hard))


def _give_descriptors(site: Site) -> None:
    _, hard = resource.prlimit(site.daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(site.daemon.pid, resource.RLIMIT_NOFILE, (min(1024, hard), hard))


def test_without_descriptors_requests_are_answered_and_the_broker_is_found_again(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with new_site(tmp_path, broker.port) as site, site.caller() as caller:
        site.daemon.start()
        first = site.user()
        caller.publish(site.topic(), first)
        site.settle(caller)
        _use_up_descriptors(site)
        caller.publish(site.topic(), site.user())
        answer = site.settle(caller, 2)[1].json
        assert (answer["status"], answer["code"], answer["effect"]) == (500, "device_unreachable", "none")
        broker.restart()
        wait_until(lambda: "no connection to the broker" in site.daemon.log, timeout=30)
        assert site.daemon.running

        _give_descriptors(site)

        wait_until(lambda: site.daemon.log.count("connected to") == 2, timeout=60)
        wait_until(lambda: caller.connected, timeout=30)
        third = site.user()
        caller.publish(site.topic(), third)
        assert site.settle(caller, 3)[2].json["code"] == "created"
        site.check(first, third)


def test_a_clock_that_jumps_back_an_hour_changes_no_answer(tmp_path: Path, shared_broker: Mosquitto) -> None:
    flag = tmp_path / "an hour ago"
    clock = Break("time:time", "set back", value=str(flag))
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.make_daemon(clock).start()
        first = site.user(request_id="before")
        caller.publish(site.topic(), first)
        reply = site.settle(caller)[0].json

        flag.touch()
        second = site.user(request_id="after", expires_at="2999-01-01T00:00:00+00:00")
        caller.publish(site.topic(), second)
        assert site.settle(caller, 2)[1].json["code"] == "created"
        caller.publish(site.topic(), first)
        assert site.settle(caller, 3)[2].json == {**reply, "replayed": True}
        site.at(WRITE, site.killer(), effect=True)
        third = site.user()
        caller.publish(site.topic(), third)
        site.daemon.wait()

        flag.unlink()
        site.daemon.start()

        assert site.settle(caller, 4)[3].json["code"] == "created"
        site.check(first, second, third)


# -- the ledger's file -------------------------------------------------------------------------------------------------


def _with_one_user(site: Site, caller: Caller) -> dict[str, Any]:
    site.daemon.start()
    request = site.user(request_id="r-1")
    caller.publish(site.topic(), request)
    site.settle(caller)
    return request


def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        _with_one_user(site, caller)
        assert site.daemon.stop() == 0
        path = site.daemon.state / "ledger.db"
        with closing(sqlite3.connect(path)) as ledger:
            ledger.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

        site.daemon.start(online=False)

        assert site.daemon.wait() == 1
        assert "was written by a newer zkbridge" in site.daemon.log
        with closing(sqlite3.connect(path)) as ledger:
            assert ledger.execute("SELECT count(*) FROM requests").fetchone() == (1,)


def _overwrite(path: Path, at: int, rubbish: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(rubbish)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "its head is gone": lambda path: _overwrite(path, 0, b"\xff" * 100),
    "a page is rubbish": lambda path: _overwrite(path, 2 * 4096, os.urandom(4096)),
    "half of it is gone": lambda path: os.truncate(path, path.stat().st_size // 2),
    "it is another file": lambda path: path.write_bytes(b"not a database at all\n" * 1000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_kept_aside_and_the_daemon_runs(
    tmp_path: Path, shared_broker: Mosquitto, damage: str
) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        first = _with_one_user(site, caller)
        assert site.daemon.stop() == 0
        path = site.daemon.state / "ledger.db"
        DAMAGES[damage](path)
        damaged = path.read_bytes()

        site.daemon.start()

        (kept,) = site.daemon.state.glob("ledger.db.damaged-*[0-9]")
        assert kept.read_bytes() == damaged
        assert "the ledger is damaged (" in site.daemon.log
        assert str(kept) in site.daemon.log
        second = site.user()
        caller.publish(site.topic(), second)
        assert site.settle(caller, 2)[1].json["code"] == "created"
        site.check(first, second)


def test_a_lost_key_of_the_digests_makes_no_true_copy_look_like_another(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        request = _with_one_user(site, caller)
        assert site.daemon.stop() == 0
        (site.daemon.state / "ledger.key").unlink()

        site.daemon.start()
        caller.publish(site.topic(), request)

        assert site.settle(caller, 2)[1].json["replayed"]
        site.check(request)


def test_time_is_measured_by_a_clock_that_cannot_be_set(tmp_path: Path, shared_broker: Mosquitto) -> None:
    """A device's deadline and the terminal's disabled time follow the monotonic clock."""
    flag = tmp_path / "an hour ago"
    clock = Break("time:time", "set back", value=str(flag))
    with new_site(tmp_path, shared_broker.port, retry={"deadline": 6}) as site, site.caller() as caller:
        site.make_daemon(clock).start()
        site.at(WRITE, flag.touch, effect=False)
        site.terminal.faults.add(ENABLE.command, "before", "silence")
        request = site.user()
        began = time.monotonic()

        caller.publish(site.topic(), request)

        assert site.settle(caller)[0].json["code"] == "created"
        assert time.monotonic() - began < 30
        site.check(request)
