"""Plants: a bridge with a group."""

import pytest

from tests.groups.plant import Plant
from zkbridge.simulator import Simulator


@pytest.fixture
def simulator():
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def make(tmp_path, broker):
    """Makes a plant, with *more* in its configuration."""
    made = []

    def make(**more):
        made.append(Plant(tmp_path / str(len(made)), broker, **more))
        return made[-1]

    yield make
    for plant in made:
        plant.close()


@pytest.fixture
def plant(make):
    """One that runs."""
    plant = make()
    with plant.daemon:
        yield plant


@pytest.fixture(scope="module")
def shared(tmp_path_factory, shared_broker):
    """One for a module's tests, each with users of its own."""
    plant = Plant(tmp_path_factory.mktemp("plant"), shared_broker)
    with plant.daemon:
        yield plant
    plant.close()
