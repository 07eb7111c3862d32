"""docs/performance.md shows what docs/performance.json holds, and the lines of a picture end as they should."""

import json
from pathlib import Path

import pytest

from benchmarks import growth, one, picture, report
from benchmarks.__main__ import BEGIN, END

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_shows_the_figures_of_the_file() -> None:
    measured = json.loads((DOCS / "performance.json").read_text("utf-8"))
    text = (DOCS / "performance.md").read_text("utf-8")

    assert text.partition(BEGIN)[2].partition(END)[0] == f"\n{report.page(measured)}\n"


def test_a_goal_that_was_not_reached_is_named_below_the_table() -> None:
    rows = [
        {"what": "a", "measured": "1", "goal": "0", "reached": False, "limit": ""},
        {"what": "b", "measured": "1", "goal": "2", "reached": True, "limit": ""},
    ]
    machine = {"cores": 2, "kind": "x", "python": "3.11"}

    shown = report.page({"machine": machine, "seconds": 9, "rows": rows})

    assert "- a: 1; goal: 0." in shown
    assert "- b" not in shown
    assert "Every goal" in report.page({"machine": machine, "seconds": 9, "rows": rows[1:]})


@pytest.mark.parametrize(("power", "linear"), [(0.5, True), (1, True), (2, False)])
def test_a_line_steeper_than_linear_is_told(power: float, linear: bool) -> None:
    line = picture.Line(growth.OURS, [(x, x**power) for x in (1, 10, 100)])

    (row,) = report.slopes([picture.Chart("Time", "users", "seconds", [line, picture.Line("bare pyzk", line.points)])])

    assert growth.slope(line) == pytest.approx(power)
    assert (row.reached, row.measured) == (linear, f"to the power of {power:.2f}")


def test_the_least_number_of_round_trips_asks_for_all_pieces_together() -> None:
    assert [one.least_round_trips(users) for users in (0, 14, 15, 500, 30_000)] == [7, 7, 8, 8, 8]
