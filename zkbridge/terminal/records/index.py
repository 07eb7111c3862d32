"""Where a key stands first in a table: searched for a few times, then looked up."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Generic, ParamSpec, TypeVar

Key = TypeVar("Key")
T = TypeVar("T")
P = ParamSpec("P")

#: How many users are searched for, through the whole table each time, before an index of it is worth its making.
_SEARCHES = 8


def weakly(method: Callable[P, T]) -> Callable[P, T]:
    """A method of an object that is not kept in memory by it: a table and its indexes would keep each other."""
    held = weakref.WeakMethod(method)

    def call(*args: P.args, **keywords: P.kwargs) -> T:
        found = held()
        if found is None:
            raise ReferenceError("the table is gone")
        return found(*args, **keywords)

    return call


class Index(Generic[Key]):
    """Where a key stands first, None where it does not. `search` looks through the table, `keys` are all of them.

    A session mostly asks for one user, and finding one takes a hundredth of what indexing a large table takes.
    """

    def __init__(self, search: Callable[[Key], int | None], keys: Callable[[], Iterable[Key]]) -> None:
        self._search = search
        self._keys = keys
        self._searches = 0
        self._places: dict[Key, int] | None = None

    def place(self, key: Key) -> int | None:
        """The place of the first record with this key."""
        if self._places is not None:
            return self._places.get(key)
        if self._searches < _SEARCHES:
            self._searches += 1
            return self._search(key)
        keys = list(self._keys())
        keys.reverse()  # the last to be put into a dictionary stays
        self._places = dict(zip(keys, range(len(keys) - 1, -1, -1), strict=True))
        return self._places.get(key)
