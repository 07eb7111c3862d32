"""One bridge for all tests of the client; each uses users of its own."""

from collections.abc import Iterator

import pytest

from tests.support.running import Running, running
from zkbridge.simulator import Simulator


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    groups = {"planta": ["principal", "entrada"], "rota": ["entrada", "apagada"]}
    with running(tmp_path_factory.mktemp("bridge"), groups=groups) as all_of_it:
        yield all_of_it


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator
