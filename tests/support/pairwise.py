"""Few combinations in which any two values of different axes meet at least once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any


def pairwise(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Combinations of one value an axis, the same in every run; each is built to hold many pairs that are missing."""
    names = list(axes)
    missing = {
        ((a, x), (b, y)): None
        for a, b in combinations(names, 2)
        for x in range(len(axes[a]))
        for y in range(len(axes[b]))
    }
    rows = []
    while missing:
        row = dict(next(iter(missing)))
        for name in names:
            if name not in row:
                row[name] = max(
                    range(len(axes[name])), key=lambda value: len(_pairs(row | {name: value}, names) & missing.keys())
                )
        for pair in _pairs(row, names):
            missing.pop(pair, None)
        rows.append({name: axes[name][row[name]] for name in names})
    return rows


def _pairs(row: Mapping[str, int], names: Sequence[str]) -> set[tuple[tuple[str, int], tuple[str, int]]]:
    held = [name for name in names if name in row]
    return {((a, row[a]), (b, row[b])) for a, b in combinations(held, 2)}
