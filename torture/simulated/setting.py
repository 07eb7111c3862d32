"""The configuration of the simulated bridge, and where its files are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torture.simulated.callers import DEVICES, DOORS, GROUP, LISTENED, UDP
from zkbridge.config.models import Config

#: How long a session with a terminal may last, an answer of it, and a conversation with all its attempts; seconds.
BUDGET_S, TIMEOUT_S, DEADLINE_S = 2, 3, 20


def config(folder: Path, protocol: str) -> Config:
    """The configuration of the simulated bridge, which speaks this version of MQTT."""
    devices = {
        name: {
            "host": f"{name}.test",
            "timeout": TIMEOUT_S,
            "record": 72,
            "timezone": "UTC",
            "attendance": "live" if name in LISTENED else "off",
            "door": {"enabled": name in DOORS, "unit": "seconds"},
            "transport": "udp" if name in UDP else "tcp",
        }
        for name in DEVICES
    }
    return Config.model_validate(
        {
            "mqtt": {"host": "broker.test", "protocol": protocol},
            "devices": devices,
            "groups": {GROUP: list(DEVICES)},
            "retry": {"attempts": 3, "initial_delay": 0.5, "max_delay": 2, "deadline": DEADLINE_S},
            "session_budget": BUDGET_S,
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
