"""Memory that lies free goes back to the machine, now and then."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.processes import closed_port
from zkbridge.bridge.bridge import Bridge
from zkbridge.config.models import Config
from zkbridge.machine import memory

#: Leaves one block of 16 in use: none of the pages between lies at an end of the heap.
HOLES = """
import os
from tests.support.memory import MB, resident
from zkbridge.machine.memory import give_back

blocks = [bytes(1000) for _ in range(50_000)]
kept = blocks[::16]
del blocks
before = resident(os.getpid())
give_back()
print((before - resident(os.getpid())) // MB)
"""


def test_what_lies_free_between_blocks_in_use_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, check=True, text=True)

    assert int(done.stdout) >= 25  # of 45 MB


@pytest.mark.parametrize("library", [SimpleNamespace(), None], ids=["without the call", "forbidden"])
def test_a_machine_that_cannot_do_it_costs_nothing(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_name: object) -> object:
        if library is None:
            raise OSError
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)

    assert memory.give_back() == memory.EVERY_S


def test_the_bridge_does_it_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[None] = []
    twice = threading.Event()

    def give_back() -> float:
        times.append(None)
        if len(times) > 1:
            twice.set()
        return 0.0

    monkeypatch.setattr(memory, "EVERY_S", 0.0)
    monkeypatch.setattr(memory, "give_back", give_back)
    mqtt, devices = {"host": "127.0.0.1", "port": closed_port()}, {"p": {"host": "127.0.0.1", "port": closed_port()}}
    settings = {"mqtt": mqtt, "devices": devices}
    bridge = Bridge(Config.model_validate({**settings, "state_dir": tmp_path / "state", "lock_dir": tmp_path / "lock"}))
    bridge.start()
    try:
        assert twice.wait(60)
    finally:
        bridge.stop()
