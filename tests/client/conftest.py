"""One bridge for all tests of the client; each uses users of its own."""

import pytest

from tests.support.running import running
from zkbridge.simulator import Simulator


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    groups = {"planta": ["principal", "entrada"], "rota": ["entrada", "apagada"]}
    with running(tmp_path_factory.mktemp("bridge"), groups=groups) as all_of_it:
        yield all_of_it


@pytest.fixture
def simulator():
    with Simulator() as simulator:
        yield simulator
