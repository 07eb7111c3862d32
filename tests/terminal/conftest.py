"""Simulated terminals, and conversations with them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zkbridge.config.models import Device
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Known, Session, open_session

PATIENCE_S = 10


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    """A folder of lock files for one test."""
    return tmp_path / "locks"


@pytest.fixture
def device_of() -> Callable[..., Device]:
    """The configuration of a simulated terminal, with what the keywords say of it."""

    def device(terminal: SimulatedTerminal, **settings: Any) -> Device:
        fields = {"id": "principal", "host": terminal.host, "port": terminal.port, "timeout": 5} | settings
        return Device.model_validate(fields)

    return device


@pytest.fixture
def talk(device_of: Callable[..., Device], locks: Path) -> Callable[..., Session]:
    """A session with a simulated terminal, to be entered; `within` seconds, disabled unless told otherwise."""

    def session(
        terminal: SimulatedTerminal,
        *,
        within: int = PATIENCE_S,
        known: Known | None = None,
        disable_for: int = 10,
        enable_first: bool = False,
        **settings: Any,
    ) -> Session:
        return open_session(
            device_of(terminal, **settings),
            deadline=Deadline.after(within),
            known=known or Known(),
            disable_for=disable_for,
            enable_first=enable_first,
            lock_dir=locks,
        )

    return session
