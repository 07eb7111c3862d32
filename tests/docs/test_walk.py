"""The way of one message in ARCHITECTURE.md names files and functions that exist."""

import ast
import re

import pytest

from tests.project.tree import ROOT

_PAGE = (ROOT / "ARCHITECTURE.md").read_text()
_WALK = _PAGE[_PAGE.index("## The way of one message") : _PAGE.index("## How exactly once")]
#: A file, and a function that is named directly after it.
_STEPS = re.findall(r"`(\w+/\w+\.py)`, `(\w+)`", _WALK)


def test_the_walk_goes_from_the_broker_to_the_outbox() -> None:
    rooms = [file.partition("/")[0] for file, _function in _STEPS]

    assert len(_STEPS) >= 15
    for room in ("mqtt", "intake", "ledger", "worker", "outbox"):
        assert room in rooms


@pytest.mark.parametrize(("file", "function"), _STEPS)
def test_a_step_of_the_walk_exists(file: str, function: str) -> None:
    tree = ast.parse((ROOT / "zkbridge" / file).read_text())

    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
