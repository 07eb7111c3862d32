"""Plants: a bridge with a group."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.groups.plant import Plant
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def make(tmp_path: Path, broker: Mosquitto) -> Iterator[Callable[..., Any]]:
    """Makes a plant, with *more* in its configuration."""
    made: list[Any] = []

    def make(**more: Any) -> Plant:
        made.append(Plant(tmp_path / str(len(made)), broker, **more))
        return made[-1]

    yield make
    for plant in made:
        plant.close()


@pytest.fixture
def plant(make: Callable[..., Any]) -> Iterator[Plant]:
    """One that runs."""
    plant = make()
    with plant.daemon:
        yield plant


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Plant]:
    """One for a module's tests, each with users of its own."""
    plant = Plant(tmp_path_factory.mktemp("plant"), shared_broker)
    with plant.daemon:
        yield plant
    plant.close()
