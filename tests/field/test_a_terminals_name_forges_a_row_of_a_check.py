"""A terminal whose name held escapes and a line end wrote a row of its own into the table of `check --connect`.

Source: attack on 7bb949d, 2026-11
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.project.tree import ROOT
from tests.support.mosquitto import Mosquitto
from zkbridge.cli.main import main
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal

FORGED = "K40\n\x1b[1A\x1b[2Kok      entrada  127.0.0.1:4370/tcp\u202e\x9b2J"


@pytest.fixture(scope="module")
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.machine.terminal.memory.tables.options |= {"~DeviceName": FORGED, "~SerialNumber": "1\r2"}
        yield terminal


def test_what_a_terminal_calls_itself_stays_in_its_cell(
    terminal: SimulatedTerminal, shared_broker: Mosquitto, tmp_path: Path
) -> None:
    devices = {"principal": {"host": terminal.host, "port": terminal.port, "timeout": 3, "encoding": "latin-1"}}
    mqtt = {"host": "127.0.0.1", "port": shared_broker.port}
    config = {"mqtt": mqtt, "devices": devices, "lock_dir": str(tmp_path)}
    (tmp_path / "config.yaml").write_text(json.dumps(config))

    done = CliRunner().invoke(main, ["check", "--connect", "--config", str(tmp_path / "config.yaml")], color=True)

    lines = done.output.split("\n")
    assert [line.split()[:2] for line in lines if line.startswith(("ok", "FAILED"))] == [
        ["ok", "broker"],
        ["ok", "principal"],
    ]
    assert [line for line in lines if not line.isprintable()] == []
    assert "K40\\u000a\\u001b[1A" in done.output


def test_all_text_for_people_goes_through_one_function() -> None:
    """`say` prints what passed through `shown`; documents (of `asyncapi`, of exports) are printed as they are."""
    printers = {"click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write", "write"}
    found = [
        f"{path.name}: {ast.unparse(node.args[0]).partition('(')[0]}"
        for path in [*(ROOT / "zkbridge/cli").glob("*.py"), *(ROOT / "zkbridge/demo").glob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in printers
    ]

    assert sorted(found) == [
        "describe.py: described",
        "export.py: text.encode",
        "output.py: click.style",  # of `say`
        "output.py: f'Standard output cannot be written: {error.strerror}.'",  # the system's words
        "output.py: text",  # of `write`, for the documents above and `say`
    ]
