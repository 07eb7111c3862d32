"""The journal that `torture/shim.c` writes of every call that changes a file in a folder."""

from __future__ import annotations

import struct
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

_HEAD = struct.Struct("<IiqIIII")


class Kind(IntEnum):
    """What was done; the numbers are those of `shim.c`."""

    OPEN = 1
    WRITE = 2
    SIZE = 3
    SYNC = 4
    CLOSE = 5
    RENAME = 6
    UNLINK = 7
    MKDIR = 8
    LINK = 9
    RMDIR = 10
    TRUNCATE = 11


class Operation(NamedTuple):
    """One record: `where` is an offset, a size or an open's flags; `data` what was written, or a path in the folder."""

    kind: Kind
    descriptor: int
    where: int
    mode: int
    data: bytes
    other: str

    @property
    def size(self) -> int:
        """The bytes of its record."""
        return _HEAD.size + len(self.data) + len(self.other.encode())

    @property
    def path(self) -> str:
        """Of what it is about, below the folder."""
        return self.data.decode()


def read_journal(path: Path) -> list[Operation]:
    """Every whole record; the process may have been killed in the midst of the last."""
    raw = path.read_bytes() if path.exists() else b""
    operations, at = [], 0
    while at + _HEAD.size <= len(raw):
        kind, descriptor, where, mode, first, second, _ = _HEAD.unpack_from(raw, at)
        middle, end = at + _HEAD.size + first, at + _HEAD.size + first + second
        if end > len(raw):
            break
        data, other = raw[at + _HEAD.size : middle], raw[middle:end].decode()
        operations.append(Operation(Kind(kind), descriptor, where, mode, data, other))
        at = end
    return operations
