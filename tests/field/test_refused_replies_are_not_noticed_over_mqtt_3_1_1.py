"""By 3.1.1 Mosquitto confirms the replies and states that its access list forbids: nobody gets them, nobody is told.

Source: attack on 7bb949d, 2026-11
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.faults.site import Break, broken
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.cli.main import main
from zkbridge.commands import commands
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

PASSWORD = "x"
#: The command that is named first.
FIRST = min(commands())
KINDS = {
    "replies": [f"zk/+/{name}/reply" for name in commands()],
    "states of devices": ["zk/+/availability"],
    "punches": ["zk/+/attendance/event"],
}
#: What everything else needs, for the bridge and its check.
ALWAYS = [f"zk/+/{name}" for name in commands()] + ["zk/bridge/state", "zk/bridge/info", "zk/bridge/health"]
#: What the broker's access list lacks, and the sentences of `check` by 3.1.1 and by 5.
CASES = {
    "replies": (
        f"replies may reach nobody: what is published on zk/bridge/{FIRST}/reply,",
        f"replies would reach nobody: it refuses what is published on zk/bridge/{FIRST}/reply,",
    ),
    "states of devices": (
        "states of devices may reach nobody: what is published on zk/bridge/availability is confirmed and does not",
        "states of devices would reach nobody: it refuses what is published on zk/bridge/availability",
    ),
    "punches": (
        "punches may reach nobody: what is published on zk/bridge/attendance/event is confirmed and does not",
        "punches would reach nobody: it refuses what is published on zk/bridge/attendance/event",
    ),
}


#: Instead of 60 and 30 s. What arrives puts off the verdict on an echo by 5 s: the pulse must be slower.
SOON = (
    Break("zkbridge.mqtt.subscription_check:AGAIN_S", "set", value=1.0),
    Break("zkbridge.bridge.pulse:PULSE_S", "set", value=7.0),
)


def access_list(*, without: str | None) -> str:
    topics = ALWAYS + [topic for kind, some in KINDS.items() if kind != without for topic in some]
    lines = ["user bridge", *(f"topic readwrite {topic}" for topic in topics)]
    return "\n".join([*lines, "user other", "topic readwrite #", ""])


@pytest.fixture
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig(profile="tft"))


def broker_without(kind: str | None, folder: Path) -> Mosquitto:
    return Mosquitto(folder, users={"bridge": PASSWORD, "other": PASSWORD}, acl=access_list(without=kind))


def settings(protocol: str) -> dict[str, str]:
    return {"protocol": protocol, "username": "bridge", "password": PASSWORD}


def check(folder: Path, broker: Mosquitto, terminal: SimulatedTerminal, protocol: str) -> str:
    """The line of the broker."""
    mqtt = {"host": "127.0.0.1", "port": broker.port, **settings(protocol)}
    config = {"mqtt": mqtt, "devices": {"p": device(terminal, attendance="live")}, "lock_dir": str(folder)}
    (folder / "config.yaml").write_text(json.dumps(config))
    done = CliRunner().invoke(main, ["check", "--connect", "--config", str(folder / "config.yaml")])
    (line,) = [line for line in done.output.splitlines() if f":{broker.port} " in line]
    return line


@pytest.mark.parametrize("kind", CASES)
def test_check_has_a_sentence_for_each_kind(tmp_path: Path, terminal: SimulatedTerminal, kind: str) -> None:
    with broker_without(kind, tmp_path / "mosquitto") as broker:
        old, new = (check(tmp_path, broker, terminal, protocol) for protocol in ("3.1.1", "5"))

    by_3_1_1, by_5 = CASES[kind]
    assert by_3_1_1 in old
    assert by_5 in new
    others = [other for other in CASES if other != kind]
    assert not [other for other in others if f"{other} may" in old or f"{other} would" in new]


def test_check_is_satisfied_where_all_is_allowed(tmp_path: Path, terminal: SimulatedTerminal) -> None:
    with broker_without(None, tmp_path / "mosquitto") as broker:
        lines = [check(tmp_path, broker, terminal, protocol) for protocol in ("3.1.1", "5")]

    assert [line.split()[0] for line in lines] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("kind", "tried"),
    [
        ("replies", ["zk/bridge/info/reply", f"zk/bridge/{FIRST}/reply"]),
        ("states of devices", ["zk/bridge/availability"]),
    ],
)
def test_a_run_shows_it_and_its_end_in_log_and_health(
    tmp_path: Path, terminal: SimulatedTerminal, kind: str, tried: list[str]
) -> None:
    with broker_without(kind, tmp_path / "mosquitto") as broker:
        devices = {"p": device(terminal)}
        daemon = Daemon(
            tmp_path / "d", broker.port, devices, mqtt=settings("3.1.1"), environment=broken(*SOON), covered=False
        )
        with daemon, Caller(broker.port, username="other", password=PASSWORD) as caller:
            caller.subscribe("zk/bridge/health")
            wait_until(lambda: f"{kind} may reach nobody" in daemon.log, timeout=60)
            health = caller.wait_for(
                "zk/bridge/health", lambda m: set(tried) <= set(m.json["refused"]), timeout=60
            ).json
            assert health["deaf_to"] == []

            (broker.folder / "acl").write_text(access_list(without=None))
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGHUP)
            wait_until(lambda: all(f"{kind} are taken on {topic} again" in daemon.log for topic in tried), timeout=120)
