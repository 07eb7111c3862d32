"""Combinations of which the usual run takes half, and the long run the rest."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest


def thinned(*axes: Iterable[Any]) -> list[Any]:
    """Every combination of the axes, every second one marked slow; each value of each axis is met in both runs."""
    return [
        pytest.param(*values, marks=pytest.mark.slow if sum(places) % 2 else ())
        for pairs in itertools.product(*(list(enumerate(axis)) for axis in axes))
        for places, values in [zip(*pairs, strict=True)]
    ]
