"""What rooms show each other has types that say its keys."""

from __future__ import annotations

from pathlib import Path

from tests.project.open_types import open_places

SHOWS_TOO_LITTLE = """
Rows = dict[str, Any]
#: What a file holds that somebody else has written.
Foreign = dict[str, Any]

def reads(path: Path) -> dict[str, object]: ...
def writes(*, rows: list[dict[str, Any]]) -> None: ...
def counts(rows: Rows, **more: Foreign) -> dict[str, int]: ...
def _inside(row: dict[str, Any]) -> None: ...

class Table:
    rows: Iterator[dict[str, Any]]
    _kept: dict[str, Any]
    def __init__(self, row: dict[str, Any]) -> None: ...
    def add(self, each: Callable[[dict[str, Any]], None], /) -> None: ...
    def _add(self, row: dict[str, Any]) -> None: ...

class _Private:
    row: dict[str, Any]
"""


def test_nothing_that_rooms_show_each_other_is_a_dict_of_anything() -> None:
    assert open_places() == [], "name a TypedDict, or contract.bodies.JsonObject where the JSON is somebody else's"


def test_each_place_is_found(tmp_path: Path) -> None:
    path = tmp_path / "shown.py"
    path.write_text(SHOWS_TOO_LITTLE)

    assert [place.split()[1] for place in open_places([path])] == [
        "Rows",
        "reads",
        "writes",
        "Table.rows",
        "Table.__init__",
        "Table.add",
    ]
