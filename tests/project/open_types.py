"""Where `dict[str, Any]` stands in what one room shows to others: it says nothing of the keys, and mypy checks none.

`python -m tests.project.open_types` prints the places: parameters, results and fields of public functions and classes.
An alias at the top of a file counts as a place, too, unless the line above it says by `#:` whose shape the JSON has.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.project.structure import sources
from tests.project.tree import ROOT

OPEN = frozenset({"dict[str, Any]", "dict[str, object]"})
#: The simulator imports nothing of the rest, and only tests and the demonstration import it.
_APART = ROOT / "zkbridge" / "simulator"


def open_places(paths: list[Path] | None = None) -> list[str]:
    """Return `file:line name` of each place."""
    chosen = [path for path in sources() if _APART not in path.parents] if paths is None else paths
    return [
        f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}:{line} {name}"
        for path in chosen
        for line, name in _of_file(path.read_text())
    ]


def _of_file(text: str) -> Iterator[tuple[int, str]]:
    tree, lines = ast.parse(text), text.splitlines()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in OPEN and not _is_explained(lines, node.lineno):
            yield node.lineno, ast.unparse(node.targets[0])
        else:
            yield from _of(node, "")


def _is_explained(lines: list[str], line: int) -> bool:
    return line > 1 and lines[line - 2].startswith("#:")


def _of(node: ast.stmt, owner: str) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.FunctionDef):
        yield from _of_function(node, owner)
    elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
        for each in node.body:
            yield from _of(each, f"{node.name}.")
    elif (
        isinstance(node, ast.AnnAssign) and not _is_private(name := ast.unparse(node.target)) and _has(node.annotation)
    ):
        yield node.lineno, owner + name


def _of_function(node: ast.FunctionDef, owner: str) -> Iterator[tuple[int, str]]:
    if _is_private(node.name):
        return
    arguments = node.args
    shown = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [node.returns, *(each.annotation for each in shown if each is not None)]
    if any(_has(each) for each in annotations):
        yield node.lineno, owner + node.name


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _has(annotation: ast.expr | None) -> bool:
    return annotation is not None and any(each in ast.unparse(annotation) for each in OPEN)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{place}\n" for place in open_places()))
