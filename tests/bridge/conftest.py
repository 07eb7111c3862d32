"""A simulator for the bridge's tests: terminals on the wire, in this process."""

from collections.abc import Iterator

import pytest

from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Any number of simulated terminals."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def terminal(simulator: Simulator) -> SimulatedTerminal:
    """A 72-byte terminal."""
    return simulator.add(TerminalConfig(profile="tft"))
