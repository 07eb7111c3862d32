"""A disk that was full once stopped the bridge until a person freed space; the ledger could have deleted old answers.

Source: attack on 7bb949d, 2026-11
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

PING = "full/p/ping"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if made.returncode:  # it takes root, and a machine that allows it: CI has both
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"a small disk cannot be mounted: {made.stderr!r}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(path: Path) -> None:
    """Leave no block free."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def test_the_bridge_answers_again_while_the_disk_is_still_full(
    small_disk: Path, tmp_path: Path, shared_broker: Mosquitto
) -> None:
    with Simulator() as simulator:
        devices = {"p": device(simulator.add(TerminalConfig(profile="tft")))}
        daemon = Daemon(tmp_path / "d", shared_broker.port, devices, mqtt={"base_topic": "full"}, covered=False)
        daemon.config["state_dir"] = str(small_disk / "state")
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe(f"{PING}/reply")
            wait_until((small_disk / "state" / "ledger.reserve").exists, what="room to be held in reserve")
            fill(small_disk / "filler")

            for number in range(30):
                caller.publish(PING, {"request_id": f"r{number}"})
            answers = [caller.wait_for(f"{PING}/reply", timeout=60).json for _ in range(30)]

            assert {answer["code"] for answer in answers} == {"ok"}
            assert {answer["request_id"] for answer in answers} == {f"r{number}" for number in range(30)}
            assert "the disk is full" in daemon.log
            assert not (small_disk / "state" / "ledger.reserve").exists()
