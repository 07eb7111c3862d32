"""The pages of promises name tests, programs and breakages that exist; and a promise that is held has all three."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.model.settings import BREAKAGES, SETTINGS
from tests.mutants.table import MUTATIONS
from tests.project.tree import ROOT
from torture.__main__ import PROGRAMS
from torture.simulated.bugs import BUGS

PROMISES, PROOF = (ROOT / "docs" / name for name in ("promises.md", "proof.md"))
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PROGRAM = re.compile(r"`(make|torture) (\w+)`")
BREAKAGE = re.compile(r'"([^"]+)"')
#: Breakages by their names, each with the tests or the program that must notice it.
KNOWN = {each.harm for each in MUTATIONS} | set(BREAKAGES) | {each.name for each in BUGS}
#: Of what a promise is held against, these only run tests; they look for no breach of their own.
RUNS_TESTS = {"test", "again", "mutants", "check"}


class Row(NamedTuple):
    """One row of a table, below the table's head."""

    head: tuple[str, ...]
    cells: tuple[str, ...]


def rows(text: str) -> Iterator[Row]:
    head: tuple[str, ...] = ()
    for line in text.splitlines():
        if not line.startswith("|"):
            head = ()
            continue
        cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
        cells = tuple(cell.strip("| ") for cell in cells)
        if not head:
            head = cells
        elif not set(line) <= set("|-: "):
            yield Row(head, cells)


HELD = [row for row in rows(PROMISES.read_text()) if row.head[-1] == "broken on purpose"]
TESTED = [row for row in rows(PROMISES.read_text()) if row.head[0] == "promise" and row not in HELD]


def exists(path: str, test: str) -> bool:
    return f"def {test}(" in (ROOT / path).read_text()


@pytest.mark.parametrize("row", HELD, ids=lambda row: row.cells[0])
def test_a_promise_that_is_held_has_a_test_a_program_and_a_breakage(row: Row) -> None:
    _, checked, broken = row.cells
    programs = [name for kind, name in PROGRAM.findall(checked) if kind == "torture" or name not in RUNS_TESTS]

    assert TEST.findall(checked)
    assert programs
    assert BREAKAGE.findall(broken) or TEST.findall(broken)
    assert set(BREAKAGE.findall(broken)) <= KNOWN


def test_every_other_promise_is_listed_only_as_tested() -> None:
    assert len(HELD) >= 15
    assert len(TESTED) >= 100
    assert {row.head[-1] for row in TESTED} == {"tested by"}
    assert all(TEST.findall(row.cells[-1]) for row in TESTED)


@pytest.mark.parametrize("page", [PROMISES, PROOF], ids=lambda page: page.name)
def test_every_test_and_program_that_is_named_exists(page: object) -> None:
    text = PROMISES.read_text() if page == PROMISES else PROOF.read_text()
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert [f"{path}::{test}" for path, test in TEST.findall(text) if not exists(path, test)] == []
    for kind, name in PROGRAM.findall(text):
        assert name in (PROGRAMS if kind == "torture" else targets), f"{kind} {name}"


def test_the_table_of_the_simulated_world_has_every_bug_of_the_program() -> None:
    table = {row.cells[0] for row in rows(PROMISES.read_text()) if row.head == ("fault", "found after", "by")}

    assert table == {f"{bug.name}: {bug.does}" for bug in BUGS}


def test_what_is_explored_and_what_is_broken_stands_on_the_page() -> None:
    """Each life that `make model` explores, and each breakage that it or the ledger's mutations put in."""
    table = [row.cells[0].strip('"') for row in rows(PROOF.read_text())]
    mutations = {each.harm for each in MUTATIONS if "tests/model/test_ledger.py" in each.tests}

    assert set(SETTINGS) <= set(table)
    assert set(BREAKAGES) | mutations <= set(table)
