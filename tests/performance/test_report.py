"""The pages show what docs/performance.json holds, and the lines of a picture end as they should."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import growth, one, picture, report, results
from benchmarks.__main__ import BEGIN, END

SVG = "{http://www.w3.org/2000/svg}"
DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "shown"), [("performance.md", results.page), ("benchmarks.md", report.page)])
def test_the_page_shows_the_figures_of_the_file(name: str, shown: Callable[[Mapping[str, Any]], str]) -> None:
    measured = json.loads((DOCS / "performance.json").read_text("utf-8"))
    text = (DOCS / name).read_text("utf-8")

    assert text.partition(BEGIN)[2].partition(END)[0] == f"\n{shown(measured)}\n"


def test_the_results_are_those_of_the_measurements() -> None:
    one = {"latency_ms": 20, "bridge_s": 0.5, "bare_s": 1.25}
    burst = {"latency_ms": 20, "requests": 200, "users": 10_000, "seconds": 5.04, "bare_s": 0.75}
    measured = {
        "machine": {"cores": 2, "kind": "x"},
        "one": [{**one, "users": 500}, {**one, "users": 501}],
        "burst": [burst, {**burst, "requests": 10}],
        "fleet": [{"terminals": 1000, "peak_bytes": 75e6, "at_once": {"longest_s": 6.1}, "streams": []}],
        "alone": {
            "start_cpu_s": 0.42,
            "idle_bytes": 42e6,
            "idle_cpu": 0.0002,
            "bytes_apart": 73e3,
            "bytes_at_once": 4e3,
        },
    }

    rows = [line for line in results.page(measured).splitlines() if line.startswith("| create")]

    assert rows == [
        "| create one user on a terminal with 500 users | 500 ms | 1.2 s |",
        "| create 200 users at once on a terminal with 10,000 users | 5.0 s | 150 s |",
    ]
    assert "all are created within 6.1 s, 75 MB of memory" in results.page(measured)


@pytest.mark.parametrize(("name", "columns", "width"), [(name, *shape) for name, shape in picture.PICTURES.items()])
def test_a_picture_shows_the_figures_of_the_file(name: str, columns: int, width: int) -> None:
    measured = json.loads((DOCS / "performance.json").read_text("utf-8"))

    assert (DOCS / name).read_text("utf-8") == picture.draw(growth.charts_of(measured), columns, width)


def test_the_page_shows_a_narrow_picture_on_a_narrow_screen() -> None:
    page = (DOCS / "performance.md").read_text("utf-8")

    assert all(f'"{name}"' in page for name in picture.PICTURES)


@pytest.mark.parametrize(("name", "chart_width"), [(name, width) for name, (_, width) in picture.PICTURES.items()])
def test_no_label_of_a_picture_is_cut_and_none_runs_into_another_chart(name: str, chart_width: int) -> None:
    """Of a sans-serif font of 12 pixels a character is at most 8 wide on average."""
    drawn = ET.fromstring((DOCS / name).read_text("utf-8"))
    labels = [each for each in drawn.iter(f"{SVG}text") if "transform" not in each.attrib]
    upright = [each for each in drawn.iter(f"{SVG}text") if "transform" in each.attrib]

    assert len(labels) > 50
    for label in labels:
        width = len(label.text or "") * 8
        share = {"middle": 0.5, "end": 1.0}.get(label.get("text-anchor", "start"), 0.0)
        left = float(label.attrib["x"]) - share * width
        assert left >= 0, label.text
        assert left + width <= chart_width, label.text
    for label in upright:
        assert len(label.text or "") * 8 <= picture.HEIGHT - picture.TOP, label.text


@pytest.mark.parametrize("dark", [0, 1])
def test_every_colour_can_be_read_in_light_and_in_dark_surroundings(dark: int) -> None:
    grounds = picture.SURROUNDINGS["ground"][dark]

    for colours in (*picture.COLOURS, picture.SURROUNDINGS["text"]):
        assert contrast(colours[dark], grounds) >= 4.5, colours


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.1, relative luminance)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


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
def test_a_line_steeper_than_linear_is_reported(power: float, linear: bool) -> None:
    line = picture.Line(growth.OURS, [(x, x**power) for x in (1, 10, 100)])

    (row,) = report.slopes([picture.Chart("Time", "users", "seconds", [line, picture.Line("bare pyzk", line.points)])])

    assert growth.slope(line) == pytest.approx(power)
    assert (row.reached, row.measured) == (linear, f"to the power of {power:.2f}")


def test_the_least_number_of_round_trips_asks_for_all_pieces_together() -> None:
    assert [one.least_round_trips(users) for users in (0, 14, 15, 500, 30_000)] == [7, 7, 8, 8, 8]
