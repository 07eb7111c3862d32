"""Simulated terminals and raw clients for one test each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.simulator.raw import RawClient
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig


@pytest.fixture
def sim(caplog: pytest.LogCaptureFixture) -> Iterator[Simulator]:
    """A simulator that must not have had a fault of its own when the test is over."""
    with Simulator() as simulator:
        yield simulator
    assert [record for record in caplog.records if record.name.startswith(("zkbridge.simulator", "asyncio"))] == []


@pytest.fixture
def start(sim: Simulator) -> Callable[..., SimulatedTerminal]:
    """Start a terminal with the configuration in the keywords."""
    return lambda **config: sim.add(TerminalConfig(**config))


@pytest.fixture
def terminal(start: Callable[..., SimulatedTerminal]) -> SimulatedTerminal:
    """A K40-like terminal without a key."""
    return start()


@pytest.fixture
def raw() -> Iterator[Callable[..., RawClient]]:
    """Open raw clients, connected unless told otherwise; closed at the end."""
    with ExitStack() as stack:

        def open_client(
            terminal: SimulatedTerminal, *, key: int = 0, connect: bool = True, **options: Any
        ) -> RawClient:
            client = stack.enter_context(RawClient(terminal, **options))
            if connect:
                assert client.connect(key).code == 2000
            return client

        yield open_client
