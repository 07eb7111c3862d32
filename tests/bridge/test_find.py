"""`find`: a terminal whose address has changed is found by its serial number, followed, and told of."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.discovery.test_discover import free_port
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.full_disk import full
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.cli.check import check
from zkbridge.cli.devices import devices as devices_command
from zkbridge.config import loader
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Device
from zkbridge.ledger.database import Database
from zkbridge.ledger.ledger import Ledger
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.terminal.discovery import pinned
from zkbridge.terminal.discovery.pinned import GivenUp, Outcome, look_for
from zkbridge.terminal.protocol.codes import Command
from zkbridge.worker import search
from zkbridge.worker.places import Places
from zkbridge.worker.search import TerminalSearch

NETWORK = "127.43.0.0/28"
OLD, NEW, OTHER = "127.43.0.1", "127.43.0.9", "127.43.0.5"
#: What another terminal may be asked: who it is.
ALLOWED = {Command.CONNECT, Command.AUTH, Command.OPTIONS_RRQ, Command.EXIT}


def asked(terminal: SimulatedTerminal) -> set[int]:
    return {each.command for each in terminal.log if each.direction == "in"}


def entry(**more: Any) -> Device:
    return Device(**{"id": "p", "host": OLD, "serial": "MINE", "find": NETWORK, "timeout": 2, **more})


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_terminal_is_found_by_its_serial_and_others_are_only_asked_for_theirs(transport: str, tmp_path: Path) -> None:
    with Simulator() as simulator:
        port = free_port(OLD, NEW, OTHER)
        profile = "tft" if transport == "tcp" else "ma300"
        other = simulator.add(TerminalConfig(host=OTHER, port=port, serial="OTHER", comm_key=7))
        simulator.add(TerminalConfig(host=NEW, port=port, serial="MINE", comm_key=7, profile=profile))
        wanted = entry(port=port, comm_key=7, transport=transport)

        outcome = look_for(wanted, lock_dir=tmp_path)
        without = look_for(wanted, lock_dir=tmp_path, skip={NEW})

    assert outcome == Outcome(NEW, 14, 2)
    assert without == Outcome(None, 13, 1)
    assert asked(other) <= ALLOWED


def test_a_search_that_is_given_up_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(GivenUp):
        look_for(entry(), lock_dir=tmp_path, give_up=lambda: True)


def test_a_moved_terminal_is_found_and_its_new_address_is_published_and_kept(broker: Mosquitto, tmp_path: Path) -> None:
    with Simulator() as simulator:
        port = free_port(OLD, NEW, OTHER)
        intruder = simulator.add(TerminalConfig(host=OLD, port=port, serial="OTHER"))
        moved = simulator.add(TerminalConfig(host=NEW, port=port, serial="MINE"))
        devices = {"p": device(intruder, serial="MINE", find=NETWORK, attendance="live")}
        daemon = Daemon(tmp_path / "daemon", broker.port, devices)
        with Caller(broker.port) as caller:
            for topic in ("zk/p/availability", "zk/bridge/health", "zk/+/users/create/reply"):
                caller.subscribe(topic)
            with daemon:
                caller.wait_for("zk/p/availability", lambda each: each.json == {"state": "online", "address": NEW})
                caller.publish("zk/p/users/create", '{"user_id": "1", "name": "Ana"}')
                created = caller.wait_for("zk/p/users/create/reply").json
            with daemon:  # what was found is kept: nothing is searched, and nothing fails first
                caller.publish("zk/p/users/create", '{"user_id": "2", "name": "Eva"}')
                again = caller.wait_for(
                    "zk/p/users/create/reply", lambda each: each.json["data"]["user_id"] == "2"
                ).json
                shown = CliRunner().invoke(devices_command, ["--broker", f"127.0.0.1:{broker.port}"])
                health = caller.wait_for("zk/bridge/health", lambda each: each.json["moved"] == {"p": NEW}).json

        log = (tmp_path / "daemon" / "log").read_text()
        assert f"The device at {OLD}:{port} has serial number OTHER, not MINE" in log  # the configured language is es
        assert "número de serie" not in log
        assert (created["code"], again["code"]) == ("created", "created")
        assert health["offline"] == []
        assert ["p", "online", "found", "at", NEW] in [line.split() for line in shown.stdout.splitlines()]
        assert [user.user_id for user in moved.users()] == ["1", "2"]
        assert intruder.users() == []
        assert asked(intruder) <= ALLOWED


class Site:
    """Searches whose network is a table of outcomes; `searched` are the devices in the order of their searches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.searched: list[str] = []
        self.ended: list[tuple[str, float]] = []
        self.hosts: dict[str, str | None] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.running = 0
        self.now = 0.0
        monkeypatch.setattr(search, "look_for", self._look_for)
        self.places = Places()
        self.search = TerminalSearch(
            self.places, lock_dir=None, taken=lambda _: frozenset(), ended=self._note_end, now=lambda: self.now
        )

    def _note_end(self, device: str, again_s: float) -> None:
        self.ended.append((device, again_s))

    def _look_for(self, device: Device, **_: object) -> Outcome:
        self.running += 1
        assert self.running == 1, "one search at a time"
        self.searched.append(device.id)
        assert self.gate.wait(10)
        self.running -= 1
        return Outcome(self.hosts.get(device.id), 14, 2)

    def wait_for_rest(self) -> None:
        wait_until(lambda: not self.search.is_busy)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site(monkeypatch)
    yield site
    site.gate.set()


def test_devices_are_looked_for_one_after_the_other(site: Site) -> None:
    site.gate.clear()
    for each in ("a", "b", "a", "c"):
        site.search.want(entry(id=each))
    site.gate.set()
    site.wait_for_rest()

    assert site.searched == ["a", "b", "c"]


def test_a_device_is_not_looked_for_again_too_soon(site: Site) -> None:
    for now in (0.0, 59.0, 60.0):
        site.now = now
        site.search.want(entry())
        site.wait_for_rest()

    assert site.searched == ["p", "p"]


def test_the_pauses_between_searches_grow_until_it_is_found(site: Site) -> None:
    for _ in range(6):
        site.search.want(entry())
        site.wait_for_rest()
        site.now += 601
    site.hosts = {"p": NEW}
    site.search.want(entry())
    site.wait_for_rest()

    assert [pause for _, pause in site.ended] == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 0.0]
    assert site.places.moved_to("p") == NEW


def test_a_device_without_find_is_never_looked_for(site: Site) -> None:
    site.search.want(entry(find=None))
    site.wait_for_rest()

    assert site.searched == []


def test_nothing_is_looked_for_once_the_bridge_stops(site: Site) -> None:
    site.search.stop()
    site.search.want(entry())
    site.wait_for_rest()

    assert site.searched == []


def test_a_terminal_that_is_found_where_it_was_is_only_probed(site: Site) -> None:
    site.hosts = {"p": OLD}
    site.search.want(entry())
    site.wait_for_rest()

    assert site.ended == [("p", 0.0)]
    assert site.places.moved_to("p") is None


def test_a_terminal_that_is_not_found_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        site.search.want(entry())
        site.wait_for_rest()

    assert site.ended == [("p", 60.0)]
    assert "device=p serial MINE is not in 127.43.0.0/28: 2 of 14 addresses answered" in caplog.text


@pytest.mark.parametrize(
    ("changed", "host"),
    [({}, NEW), ({"timeout": 3}, NEW), ({"host": OTHER}, OTHER), ({"serial": "HIS"}, OLD), ({"find": None}, OLD)],
)
def test_a_kept_address_counts_as_long_as_the_configuration_means_that_terminal(
    changed: dict[str, Any], host: str, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    try:
        places = Places(ledger.facts)
        places.follow(places.of(entry()), NEW)

        assert Places(ledger.facts).of(entry(**changed)).device.host == host
    finally:
        ledger.close()


def test_a_terminal_is_followed_although_its_address_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(tmp_path)
    places = Places(ledger.facts)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", full)
        places.follow(places.of(entry()), NEW)

    assert places.moved_to("p") == NEW
    assert "what is known of p is not kept: the disk is full" in caplog.text
    assert Places(ledger.facts).of(entry()).device.host == OLD
    ledger.close()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"find": NETWORK}, "devices.p.find: needs serial: the serial number of the terminal that is looked for"),
        (
            {"serial": "A", "find": "10.0.0.0/21"},
            "devices.p.find: 10.0.0.0/21 has 2048 addresses; at most 1024 (a /22)",
        ),
        ({"serial": "A", "find": "fe80::/64"}, "devices.p.find: 'fe80::/64' is not an IPv4 network (for example"),
        ({"serial": "A", "find": "house"}, "devices.p.find: 'house' is not an IPv4 network (for example"),
        ({"serial": "A", "fnd": NETWORK}, "devices.p.fnd: no such key (did you mean find?)"),
    ],
)
def test_a_wrong_find_is_refused_by_its_name(keys: dict[str, str], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"devices": {"p": {"host": OLD, **keys}}}))

    with pytest.raises(ConfigError) as refused:
        loader.load(path, environment={})

    assert next(str(fault) for fault in refused.value.faults).startswith(sentence)


@pytest.mark.parametrize(
    ("serial", "code", "said"),
    [
        ("MINE", 0, "serial MINE found here, not at 127.43.0.1"),
        ("GONE", 1, "Serial GONE is not in 127.43.0.0/28, where 1 addresses answered."),
    ],
)
def test_check_shows_where_the_bridge_would_find_it(
    serial: str, code: int, said: str, broker: Mosquitto, tmp_path: Path
) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(host=NEW, port=free_port(OLD, NEW), serial="MINE"))
        keys = {"host": OLD, "port": terminal.port, "serial": serial, "find": NETWORK, "timeout": 2}
        path = tmp_path / "config.yaml"
        path.write_text(
            json.dumps(
                {
                    "mqtt": {"host": "127.0.0.1", "port": broker.port},
                    "devices": {"p": keys},
                    "lock_dir": str(tmp_path / "locks"),
                }
            )
        )

        result = CliRunner().invoke(check, ["--connect", "--config", str(path)])

    assert result.exit_code == code, result.output
    assert said in result.output


def test_the_connections_of_a_search_stay_few() -> None:
    assert pinned._AT_ONCE <= 32
