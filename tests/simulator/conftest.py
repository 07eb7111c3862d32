"""Simulated terminals and raw clients for one test each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.simulator.raw import RawClient
from zkbridge.simulator import SimulatedTerminal


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
