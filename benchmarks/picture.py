"""How cost grows, as one SVG of small charts; both axes are logarithmic: a straight line of slope 1 is linear."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN, COLUMNS = 420, 300, 56, 2
#: Room at the right for half of the last mark's number.
RIGHT = 28
COLOURS = ("#b3452c", "#2c6fb3", "#d99a7c", "#7cb0d9")


@dataclass(frozen=True)
class Line:
    """A name and its points; both numbers of each are above 0."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Some lines over one axis."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]


def draw(charts: Sequence[Chart]) -> str:
    """The whole picture."""
    rows = -(-len(charts) // COLUMNS)
    size = f'width="{WIDTH * COLUMNS}" height="{HEIGHT * rows}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for place, chart in enumerate(charts):
        left, top = place % COLUMNS * WIDTH, place // COLUMNS * HEIGHT
        parts += [f'<g transform="translate({left},{top})">', *_chart(chart), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Numbers to places, by their logarithms, with marks at powers of ten."""

    def __init__(self, values: Iterable[float], first: float, last: float) -> None:
        found = list(values)
        self._low, self._high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
        self._high = max(self._high, self._low + 1)
        self._first, self._last = first, last

    def place(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._first + share * (self._last - self._first)

    def marks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


def _chart(chart: Chart) -> list[str]:
    points = [point for line in chart.lines for point in line.points]
    across = _Scale((x for x, _ in points), MARGIN, WIDTH - RIGHT)
    up = _Scale((y for _, y in points), HEIGHT - MARGIN, 34)
    return [
        f'<text x="{MARGIN}" y="20" font-size="12" font-weight="bold">{escape(chart.title)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 12}" text-anchor="end">{escape(chart.x)}</text>',
        f'<text text-anchor="middle" transform="translate(14 {HEIGHT / 2}) rotate(-90)">{escape(chart.y)}</text>',
        *_grid(across, up),
        *(part for number, line in enumerate(chart.lines) for part in _line(line, number, across, up)),
    ]


def _grid(across: _Scale, up: _Scale) -> list[str]:
    parts = []
    for mark in across.marks():
        x = across.place(mark)
        parts += [
            f'<line x1="{x:.1f}" y1="34" x2="{x:.1f}" y2="{HEIGHT - MARGIN}" stroke="#ddd"/>',
            f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 14}" text-anchor="middle">{mark:g}</text>',
        ]
    for mark in up.marks():
        y = up.place(mark)
        parts += [
            f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{MARGIN - 4}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>',
        ]
    return parts


def _line(line: Line, number: int, across: _Scale, up: _Scale) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(across.place(x), up.place(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    legend_y = 46 + 14 * number
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<text x="{MARGIN + 8}" y="{legend_y}" fill="{colour}">{escape(line.name)}</text>',
    ]
