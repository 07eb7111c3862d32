"""What tests cost: counted for each, and added up by folder."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.project import costs
from tests.support.costs import Cost, Costs, read
from tests.support.daemon import Daemon

BUSY = "import time\nwhile time.process_time() < 0.2: pass"


def _run(plugin: Costs, test: str, *, daemons: int = 0) -> None:
    """Have the plugin watch a test that keeps a child busy for 0.2 s of CPU, and starts so many daemons."""
    watching = plugin.pytest_runtest_protocol(cast("pytest.Item", SimpleNamespace(nodeid=test)))
    next(watching)
    subprocess.run([sys.executable, "-c", BUSY], check=True, timeout=30)
    Daemon.started += daemons
    with pytest.raises(StopIteration):
        next(watching)


def test_a_test_costs_the_cpu_of_its_children_and_the_daemons_it_starts(tmp_path: Path) -> None:
    plugin = Costs(tmp_path / "build" / "costs.json")
    _run(plugin, "tests/a/test_x.py::test_y", daemons=2)
    plugin.pytest_sessionfinish(cast("pytest.Session", SimpleNamespace(config=SimpleNamespace())))

    cost = read(tmp_path / "build" / "costs.json")["tests/a/test_x.py::test_y"]
    assert 0.1 <= cost.cpu_s < 5  # 0.2, less what the system counts elsewhere
    assert cost.daemons == 2


def test_what_workers_counted_is_collected_in_one_file(tmp_path: Path) -> None:
    worker, collector = Costs(tmp_path / "unused"), Costs(tmp_path / "costs.json")
    node = SimpleNamespace(workeroutput={})
    _run(worker, "tests/a/test_x.py::test_y")
    worker.pytest_sessionfinish(cast("pytest.Session", SimpleNamespace(config=node)))
    collector.pytest_testnodedown(node)
    collector.pytest_testnodedown(SimpleNamespace())  # a worker that died has no output
    collector.pytest_sessionfinish(cast("pytest.Session", SimpleNamespace(config=SimpleNamespace())))

    assert list(read(tmp_path / "costs.json")) == ["tests/a/test_x.py::test_y"]
    assert not (tmp_path / "unused").exists()


def test_the_table_adds_up_folders_and_puts_the_small_ones_together() -> None:
    found = {
        "tests/a/test_x.py::test_1": Cost(2.0, 1),
        "tests/a/test_y.py::test_1": Cost(3.4, 1),
        "tests/b/test_x.py::test_1[p]": Cost(7.0, 0),
        "tests/c/test_x.py::test_1": Cost(0.1, 3),
        "tests/d/e/test_x.py::test_1": Cost(0.2, 0),
    }

    assert costs.table(found).splitlines()[2:] == [
        "| b/ | 1 | 7 | 0 |",
        "| a/ | 2 | 5 | 2 |",
        "| 2 others | 2 | 0 | 3 |",
        "| all | 5 | 13 | 5 |",
    ]
    assert [row[0] for row in costs.summed(found, costs.file)[:2]] == ["tests/b/test_x.py", "tests/a/test_y.py"]
