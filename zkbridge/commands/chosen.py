"""Some rows of a long list, by their places, so that rows that are made on request need not all be in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
Row_co = TypeVar("Row_co", covariant=True)


class Rows(Protocol[Row_co]):
    """What can be counted and asked for by its place."""

    def __len__(self) -> int:
        """How many."""

    def __iter__(self) -> Iterator[Row_co]:
        """Each, in its order."""

    def __getitem__(self, at: int, /) -> Row_co:
        """The one at this place."""


class Chosen(Generic[T]):
    """The rows that `wants` takes, in their order."""

    def __init__(self, rows: Rows[T], wants: Callable[[T], bool]) -> None:
        self._rows = rows
        self._places = array("I", (at for at, row in enumerate(rows) if wants(row)))

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T]:
        return (self._rows[at] for at in self._places)

    def __getitem__(self, at: int) -> T:
        return self._rows[self._places[at]]
