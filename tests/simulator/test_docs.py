"""docs/simulator.md says what the simulator does: its tables are those of the code."""

import re
from pathlib import Path

import pytest

from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.console import operations
from zkbridge.simulator.device import profile, switches
from zkbridge.simulator.network import faults

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


def cell(text: str) -> str:
    """A text within a table, where a bar would end the cell."""
    return text.replace("|", "\\|")


def generated() -> dict[str, str]:
    """The tables of the page that the code knows better, by the name in their marks."""
    actions = [f"| `{name}` | {meaning} |" for name, meaning in faults.ACTIONS.items()]
    known = operations.OPERATIONS.items()
    rows = [f"| `{name}` | {' '.join(each.words)} | {cell(each.meaning)} |" for name, each in known]
    return {
        "operations": "\n".join(["| do | words | meaning |", "|---|---|---|", *rows]),
        "faults": "\n".join(["| do | meaning |", "|---|---|", *actions]),
        "switches": switches.markdown(),
    }


def section(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- end -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", ["operations", "faults", "switches"])
def test_a_table_is_that_of_the_code(name: str) -> None:
    assert section(name) == generated()[name]


def test_every_known_behaviour_has_its_way() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| .* \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    ways = {*switches.names(), *faults.ACTIONS, *dir(SimulatedTerminal), *profile.available()}

    assert [int(number) for number in rows] == list(range(1, 41))
    assert {name for way in rows.values() for name in re.findall(r"`(\w+)`", way)} - ways == set()
    assert all("`" in way for way in rows.values())


@pytest.mark.parametrize("name", profile.available())
def test_a_profile_is_described_as_it_is(name: str) -> None:
    loaded = profile.load(name)
    made = switches.Switches(**loaded.switches)

    row = f"| `{name}` | {made.transport} | {loaded.record} | {made.attendance} | {made.event} |"

    assert row in PAGE.read_text("utf-8")


def test_the_python_example_runs() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]

    exec(compile(code, str(PAGE), "exec"), {})
