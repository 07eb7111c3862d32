"""Records that become objects when they are asked for: all objects of a log take ten times the memory of its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Self, TypeVar, overload

T = TypeVar("T")


class Decoded(Sequence[T], Generic[T]):
    """The records of one size in `records`, each as `decode` makes it. A slice shares the bytes."""

    def __init__(self, records: bytes | memoryview, size: int, decode: Callable[[bytes], T]) -> None:
        self._records = memoryview(records)
        self._size = size
        self._decode = decode

    def __len__(self) -> int:
        return len(self._records) // self._size

    def __iter__(self) -> Iterator[T]:
        size, records = self._size, self._records
        return (self._decode(bytes(records[at : at + size])) for at in range(0, len(records) // size * size, size))

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> Self: ...

    def __getitem__(self, at: int | slice) -> T | Self:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                raise ValueError("a slice of records has no step")
            part = self._records[start * self._size : max(start, stop) * self._size]
            return type(self)(part, self._size, self._decode)
        places = range(len(self))
        start = places[at] * self._size
        return self._decode(bytes(self._records[start : start + self._size]))

    def mapped(self, change: Callable[[T], T]) -> Decoded[T]:
        """The same records, with a change made to each when it is asked for."""
        decode = self._decode
        return Decoded(self._records, self._size, lambda record: change(decode(record)))
