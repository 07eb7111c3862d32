"""The configuration of the simulated bridge, and where its files are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torture.simulated.callers import DEVICES, GROUP
from zkbridge.config.models import Config


def config(folder: Path) -> Config:
    """The configuration of the simulated bridge."""
    devices = {
        name: {"host": f"{name}.test", "timeout": 3, "record": 72, "attendance": "live" if name == "a" else "off"}
        for name in DEVICES
    }
    return Config.model_validate(
        {
            "mqtt": {"host": "broker.test", "protocol": "5"},
            "devices": devices,
            "groups": {GROUP: list(DEVICES)},
            "retry": {"attempts": 3, "initial_delay": 0.5, "max_delay": 2, "deadline": 20},
            "queue_limit": 12,
            "state_dir": folder / "state",
            "lock_dir": folder / "locks",
        }
    )


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="zkbridge-world-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
