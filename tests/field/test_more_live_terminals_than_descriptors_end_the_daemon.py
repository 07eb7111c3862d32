"""More terminals with `attendance: live` than there are file descriptors end the daemon, every ten seconds anew.

Source: attack on 7bb949d, 2026-11
"""

import resource
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.support import processes
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.scrape import scrape
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

BASE = "few-descriptors"
TERMINALS = 30
#: Enough for the bridge itself and some terminals.
HARD = 60
SHORT = "no more file descriptors"


class Limited(Daemon):
    """A daemon with these limits of descriptors, as `ulimit -Sn` and `-Hn` set them."""

    soft = hard = HARD

    def _begin(self, arguments: Sequence[str], environment: dict[str, str]) -> Popen[bytes]:
        limit = ["prlimit", f"--nofile={self.soft}:{self.hard}", "--"]
        command = [*limit, sys.executable, "-m", "zkbridge", *arguments]
        return processes.start(command, log=self.log_path, env=environment)


class Low(Limited):
    soft, hard = 32, 4096


class Hundred(Limited):
    soft = hard = 100


@dataclass(frozen=True)
class Site:
    daemon: Daemon
    caller: Caller
    metrics: int

    def short_of(self, kind: str) -> float | None:
        return scrape(self.metrics).get("zkbridge_short_of", resource=kind)


@pytest.fixture(scope="module")
def devices() -> Iterator[dict[str, Any]]:
    with Simulator() as simulator:
        terminals = [simulator.add(TerminalConfig(profile="tft")) for _ in range(TERMINALS)]
        yield {f"t{n}": device(each, attendance="live") for n, each in enumerate(terminals)}


def site_of(kind: type[Limited], folder: Path, broker: int, devices: dict[str, Any], stack: ExitStack) -> Site:
    base, port = f"{BASE}-{kind.__name__.lower()}", processes.free_port()
    more: dict[str, Any] = {"mqtt": {"base_topic": base}, "metrics": {"port": port}, "language": "en", "covered": False}
    # Thirty requests at once share the few descriptors that are left, and on a busy machine each has them for longer.
    more["retry"] = {"attempts": 100, "initial_delay": 0.05, "max_delay": 0.5, "deadline": 50}
    daemon = stack.enter_context(kind(folder, broker, devices, **more))
    caller = stack.enter_context(Caller(broker))
    caller.subscribe(f"{base}/#", no_local=True)
    return Site(daemon, caller, port)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto, devices: dict[str, Any]) -> Iterator[Site]:
    with ExitStack() as stack:
        site = site_of(Limited, tmp_path_factory.mktemp("few") / "d", shared_broker.port, devices, stack)
        wait_until(lambda: SHORT in site.daemon.log, what="the descriptors to run out")
        yield site


def test_every_terminal_still_gets_its_requests_answered(site: Site) -> None:
    base = f"{BASE}-limited"
    for name in site.daemon.config["devices"]:
        site.caller.publish(f"{base}/{name}/ping", b"{}")
    replies = [site.caller.wait_for(f"{base}/{name}/ping/reply").json for name in site.daemon.config["devices"]]

    assert {reply["status"] for reply in replies} == {200}, [each for each in replies if each["status"] != 200]
    assert site.daemon.running


def test_the_shortage_is_logged_once_and_shown_in_the_figures(site: Site) -> None:
    assert site.short_of("descriptors") == 1
    assert site.short_of("threads") == 0
    assert site.daemon.log.count(SHORT) == 1
    assert f"{TERMINALS} devices may need 184 file descriptors, and the limit is {HARD}" in site.daemon.log
    assert " offline" not in site.daemon.log, "no terminal is to blame"


def test_a_low_soft_limit_is_raised_as_far_as_the_devices_need(
    tmp_path: Path, shared_broker: Mosquitto, devices: dict[str, Any]
) -> None:
    with ExitStack() as stack:
        site = site_of(Low, tmp_path / "d", shared_broker.port, devices, stack)
        wait_until(lambda: site.daemon.log.count("is listened to") == TERMINALS, what="all to be listened to")

        assert resource.prlimit(site.daemon.pid, resource.RLIMIT_NOFILE) == (184, 4096)
        assert site.short_of("descriptors") == 0


def test_idle_readers_of_the_metrics_take_no_terminals_descriptors(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator())
        devices = {"t0": device(simulator.add(TerminalConfig(profile="tft")))}
        site = site_of(Hundred, tmp_path / "d", shared_broker.port, devices, stack)
        for _ in range(2 * Hundred.hard):
            stack.enter_context(socket.create_connection(("127.0.0.1", site.metrics)))

        site.caller.publish(f"{BASE}-hundred/t0/ping", b"{}")

        assert site.caller.wait_for(f"{BASE}-hundred/t0/ping/reply", timeout=20).json["status"] == 200
        assert SHORT not in site.daemon.log
