"""Draw how cost grows, as one SVG of small charts; both axes are logarithmic: a straight line of slope 1 is linear."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

HEIGHT = 320
#: The pictures of the page, by file: how many charts are in a row, and the width of a chart. Browsers shrink a picture
#: that is wider than the page, so a phone gets one whose charts are as wide as the phone.
PICTURES = {"performance.svg": (2, 420), "performance-narrow.svg": (1, 376)}
#: Where the axes are: room for numbers and the label at the left and below, for the title above, and at the right for
#: half of the last number.
LEFT, TOP, RIGHT, BOTTOM = 64, 50, 32, 56
#: The colours of lines, in light and in dark surroundings; each has a contrast of 4.5 to 1 with its background.
COLOURS = (("#b3452c", "#ff8f73"), ("#2c6fb3", "#6cb6ff"), ("#7a5c00", "#e3b341"), ("#6b4fb3", "#c4a6ff"))
#: The others: background, text, the lines of the grid, axes.
SURROUNDINGS = {"ground": ("#ffffff", "#0d1117"), "text": ("#1f2328", "#e6edf3")}
_LINES = {"grid": ("#d8dee4", "#30363d"), "axis": ("#59636e", "#9198a1")}


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


def draw(charts: Sequence[Chart], columns: int, width: int) -> str:
    """The whole picture, with that many charts of that width in a row; its colours follow the reader's screen."""
    across, down = width * columns, HEIGHT * -(-len(charts) // columns)
    size = f'width="{across}" height="{down}" viewBox="0 0 {across} {down}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape('; '.join(f'{each.title}: {each.y} over {each.x}' for each in charts))}</title>",
        f"<style>{_style(0)} @media (prefers-color-scheme: dark) {{ {_style(1)} }}</style>",
        '<rect width="100%" height="100%" class="ground"/>',
    ]
    for place, chart in enumerate(charts):
        left, top = place % columns * width, place // columns * HEIGHT
        parts += [f'<g transform="translate({left},{top})">', *_chart(chart, width), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _style(dark: int) -> str:
    rules = [f".{name} {{ fill: {colours[dark]}; }}" for name, colours in SURROUNDINGS.items()]
    rules += [f".{name} {{ stroke: {colours[dark]}; }}" for name, colours in _LINES.items()]
    for number, colours in enumerate(COLOURS):
        rules.append(f".line{number} {{ stroke: {colours[dark]}; fill: none; }}")
        rules.append(f".dot{number} {{ fill: {colours[dark]}; }}")
    # The grid must not run through the names of lines.
    rules.append(f".name {{ paint-order: stroke; stroke: {SURROUNDINGS['ground'][dark]}; stroke-width: 4px; }}")
    return " ".join(rules)


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


def _chart(chart: Chart, width: int) -> list[str]:
    points = [point for line in chart.lines for point in line.points]
    right, bottom = width - RIGHT, HEIGHT - BOTTOM
    across = _Scale((x for x, _ in points), LEFT, right)
    up = _Scale((y for _, y in points), bottom, TOP)
    upright = f"translate(14 {(TOP + bottom) / 2}) rotate(-90)"
    first = 0 if len(chart.lines) > 1 else 1  # a line alone is the bridge's, in the colour that it has elsewhere
    title, _, condition = chart.title.partition(", ")
    return [
        f'<text class="text" x="{LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text class="text" x="{LEFT}" y="37">{escape(condition)}</text>',
        *_grid(across, up, right, bottom),
        f'<polyline class="axis" fill="none" points="{LEFT},{TOP} {LEFT},{bottom} {right},{bottom}"/>',
        f'<text class="text" x="{(LEFT + right) / 2}" y="{bottom + 36}" text-anchor="middle">{escape(chart.x)}</text>',
        f'<text class="text" text-anchor="middle" transform="{upright}">{escape(chart.y)}</text>',
        *(part for number, line in enumerate(chart.lines) for part in _line(line, number, first + number, across, up)),
    ]


def _grid(across: _Scale, up: _Scale, right: int, bottom: int) -> list[str]:
    parts = []
    for mark in across.marks():
        x = across.place(mark)
        parts += [
            f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>',
            f'<text class="text" x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{_number(mark)}</text>',
        ]
    for mark in up.marks():
        y = up.place(mark)
        parts += [
            f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>',
            f'<text class="text" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(mark)}</text>',
        ]
    return parts


def _number(mark: float) -> str:
    return f"{mark:,.0f}" if mark >= 1 else f"{mark:g}"


def _line(line: Line, number: int, kind: int, across: _Scale, up: _Scale) -> list[str]:
    kind %= len(COLOURS)
    dashes = ' stroke-dasharray="6 4"' if kind > 1 else ""  # colours alone do not tell lines apart for everybody
    places = [(across.place(x), up.place(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = LEFT + 10, TOP + 16 + 17 * number
    return [
        f'<polyline class="line{kind}" points="{path}" stroke-width="2"{dashes}/>',
        *(f'<circle class="dot{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places),
        f'<line class="line{kind}" x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke-width="2"{dashes}/>',
        f'<text class="name dot{kind}" x="{x + 28}" y="{y}">{escape(line.name)}</text>',
    ]
