"""What every test may use, and what none may leave behind."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.costs import Costs
from tests.support.leftovers import Leftovers
from tests.support.mosquitto import Mosquitto
from tests.support.nursery import Nursery
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

PATIENCE_S = 30


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--costs", metavar="FILE", help="write what each test costs (python -m tests.project.costs FILE)")
    parser.addoption("--reverse", action="store_true", help="begin with the last test: none may need what another left")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("reverse"):
        items.reverse()


def pytest_collection_finish() -> None:
    """Leave what is there by now out of the garbage collections to come.

    It is half a million objects: looking at them takes a third of a second of a whole core, some seconds on a machine
    that does other things, and meanwhile no simulated terminal of this process answers.
    """
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGINT interrupt again: a shell that starts this run in the background has it ignored, by children too."""
    if (file := config.getoption("costs")) is not None:
        config.pluginmanager.register(Costs(Path(file)))
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: three times as many as there are cores, for the tests spend more than half of their time waiting."""
    return len(os.sched_getaffinity(0)) * 3


@pytest.fixture(scope="session", autouse=True)
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where daemons come from that need no start of their own."""
    with Nursery(tmp_path_factory.mktemp("nursery") / "log") as nursery:
        yield nursery


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """Fail a test that leaves a thread, a process or a signal's handler behind."""
    before = Leftovers.since()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    changed = [number.name for number, handler in handlers.items() if signal.signal(number, handler) is not handler]
    assert not changed, f"left a handler of its own for {changed}"
    if not Leftovers.since(before):
        return
    with suppress(AssertionError):
        wait_until(lambda: not Leftovers.since(before), timeout=PATIENCE_S)
    if left := Leftovers.since(before):
        said = str(left)
        left.kill()
        pytest.fail(f"left behind: {said}")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto for one test, which may kill, pause and restart it."""
    with Mosquitto(tmp_path / "mosquitto") as mosquitto:
        yield mosquitto


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A Mosquitto for many tests, each on a base topic of its own; nobody stops it."""
    with Mosquitto(tmp_path_factory.mktemp("shared") / "mosquitto") as mosquitto:
        yield mosquitto


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
