"""The structure of the package in figures: rooms, floors, arrows and circles, and the size of files and classes.

A room is a folder of `zkbridge/`. An arrow is an import between two rooms. A room's floor is one above the highest
room that it imports. A circle is a set of modules that import each other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path

import grimp
from radon.metrics import mi_visit

from tests.project.tree import ROOT, tracked_files

PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- structure -->\n", "<!-- /structure -->\n"
#: Starts the command line; belongs to no room.
_OUTSIDE = {"zkbridge", "zkbridge.__main__"}


@dataclass(frozen=True)
class Structure:
    """The imports of the package, counted."""

    rooms: tuple[str, ...]
    arrows: frozenset[tuple[str, str]]
    floors: dict[str, int]
    circles: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class ClassSize:
    """A class: where it is, and how much it holds."""

    name: str
    methods: int
    attributes: int
    parameters: int


@cache
def structure() -> Structure:
    """Return the structure as the imports of the working tree have it."""
    graph = grimp.build_graph("zkbridge", cache_dir=None)
    imports = {
        (importer, imported)
        for importer in graph.modules - _OUTSIDE
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported not in _OUTSIDE
    }
    arrows = frozenset((_room(a), _room(b)) for a, b in imports if _room(a) != _room(b))
    rooms = tuple(sorted({_room(module) for module in graph.modules - _OUTSIDE}))
    circles = (*_circles(imports), *_circles(set(arrows)))
    return Structure(rooms, arrows, {} if circles else _floors(rooms, arrows), circles)


def class_sizes(path: Path) -> Iterator[ClassSize]:
    """Measure the classes of a file; nested ones too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            init = next((each for each in methods if each.name == "__init__"), None)
            yield ClassSize(
                name=f"{path.relative_to(ROOT)}:{node.name}",
                methods=len(methods),
                attributes=len(_attributes(methods)),
                parameters=len([*init.args.args, *init.args.kwonlyargs]) - 1 if init else 0,
            )


def maintainability(path: Path) -> float:
    """Return radon's maintainability index of a file: 100 is best, 0 is worst."""
    return float(mi_visit(path.read_text(), multi=True))


def sources() -> list[Path]:
    """Return the package's files."""
    return [path for path in tracked_files("zkbridge") if path.suffix == ".py"]


def figures() -> str:
    """Return the table that stands in ARCHITECTURE.md."""
    now = structure()
    rows = {
        "rooms": (len(now.rooms), 25),
        "floors": (max(now.floors.values(), default=0), 9),
        "arrows between rooms": (len(now.arrows), 80),
        "circles": (len(now.circles), 0),
    }
    lines = [f"| {name} | {found} | {most} |" for name, (found, most) in rows.items()]
    return "\n".join(["| | now | at most |", "|---|---|---|", *lines]) + "\n"


def largest() -> str:
    """Return the table of what comes closest to each limit of files, classes and constructors."""
    classes = [each for path in sources() for each in class_sizes(path)]
    files = {str(path.relative_to(ROOT)): path for path in sources()}
    lines = {name: len(path.read_text().splitlines()) for name, path in files.items()}
    indices = {name: maintainability(path) for name, path in files.items()}
    longest, hardest = max(lines, key=lines.__getitem__), min(indices, key=indices.__getitem__)
    methods, attributes, parameters = (
        max(classes, key=attrgetter(what)) for what in ("methods", "attributes", "parameters")
    )
    rows = [
        f"| longest file, lines | {lines[longest]} | 320 | {longest} |",
        f"| methods of a class | {methods.methods} | 25 | {methods.name} |",
        f"| attributes of a class | {attributes.attributes} | 12 | {attributes.name} |",
        f"| parameters of a constructor | {parameters.parameters} | 8 | {parameters.name} |",
        f"| least maintainability index | {indices[hardest]:.1f} | at least 20 | {hardest} |",
    ]
    return "\n".join(["| | now | at most | where |", "|---|---|---|---|", *rows]) + "\n"


def page() -> str:
    """Return ARCHITECTURE.md with the table as it is now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{figures()}{END}{after}"


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _floors(rooms: tuple[str, ...], arrows: frozenset[tuple[str, str]]) -> dict[str, int]:
    below = {room: {imported for importer, imported in arrows if importer == room} for room in rooms}
    floors: dict[str, int] = {}

    def floor(room: str) -> int:
        if room not in floors:
            floors[room] = 1 + max((floor(each) for each in below[room]), default=0)
        return floors[room]

    for room in rooms:
        floor(room)
    return floors


def _circles(imports: set[tuple[str, str]]) -> list[frozenset[str]]:
    """The sets of two and more that reach each other."""
    below: dict[str, set[str]] = {}
    for importer, imported in imports:
        below.setdefault(importer, set()).add(imported)
    reached = {start: _reached(start, below) for start in below}
    found = {frozenset(each for each in reached[start] if start in reached.get(each, ())) for start in below}
    return [circle for circle in found if circle]


def _reached(start: str, below: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for each in below.get(waiting.pop(), ()):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return seen


def _attributes(methods: list[ast.FunctionDef | ast.AsyncFunctionDef]) -> set[str]:
    """The names that the methods assign on `self`."""
    return {
        node.attr
        for method in methods
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


if __name__ == "__main__":
    sys.stdout.write(f"{figures()}\n{largest()}")
