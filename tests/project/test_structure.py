"""The limits of the structure hold: rooms, floors, arrows, circles; the size of files, classes, constructors."""

from pathlib import PosixPath

import pytest

from tests.project.structure import PAGE, class_sizes, maintainability, page, sources, structure
from tests.project.tree import ROOT, tracked_files

MOST_LINES, MOST_METHODS, MOST_ATTRIBUTES, MOST_PARAMETERS, LEAST_MAINTAINABILITY = 320, 25, 12, 8, 20

#: Files over the limit of lines, with the lines that they may have. They may shrink and never grow.
LONG_FILES: dict[str, int] = {}
#: Classes over a limit, each with what it may have: (methods, attributes, constructor parameters).
LARGE_CLASSES: dict[str, tuple[int, int, int]] = {}
#: Files below the limit of maintainability.
HARD_FILES: dict[str, float] = {}


def test_imports_between_rooms_stay_within_their_limits() -> None:
    now = structure()

    assert now.circles == ()
    assert len(now.rooms) <= 25
    assert max(now.floors.values()) <= 9
    assert len(now.arrows) <= 80


def test_architecture_shows_the_figures_of_today() -> None:
    assert PAGE.read_text() == page(), "bring it up to date: .venv/bin/python -m tests.docs.write"


def test_no_file_of_the_torture_is_longer_than_one_of_the_package_may_be() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in tracked_files("torture") if path.suffix == ".py"}

    assert lines
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_keeps_its_limits(path: PosixPath) -> None:
    name = str(path.relative_to(ROOT))

    assert len(path.read_text().splitlines()) <= LONG_FILES.get(name, MOST_LINES)
    assert maintainability(path) >= HARD_FILES.get(name, LEAST_MAINTAINABILITY)
    for size in class_sizes(path):
        methods, attributes, parameters = LARGE_CLASSES.get(size.name, (MOST_METHODS, MOST_ATTRIBUTES, MOST_PARAMETERS))
        assert size.methods <= methods, size
        assert size.attributes <= attributes, size
        assert size.parameters <= parameters, size
