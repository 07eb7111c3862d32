"""Memory that a process has in use, without freed memory in its heap; another process reads it from a shared file."""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

_EVERY_S = 0.25
_FIELDS = struct.Struct("<qq")


class Held(NamedTuple):
    """Python's small objects, as a number (up to 512 bytes each), and bytes of the C library's heap for the rest."""

    objects: int
    heap: int


class _Mallinfo2(ctypes.Structure):
    """Source: mallinfo(3), glibc 2.33 and later; it adds up all arenas."""

    _fields_ = [
        ("arena", ctypes.c_size_t),
        ("ordblks", ctypes.c_size_t),
        ("smblks", ctypes.c_size_t),
        ("hblks", ctypes.c_size_t),
        ("hblkhd", ctypes.c_size_t),  # in blocks with a mapping of their own
        ("usmblks", ctypes.c_size_t),
        ("fsmblks", ctypes.c_size_t),
        ("uordblks", ctypes.c_size_t),  # in use in the arenas
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]


class HeapGauge:
    """A file in which one process writes what it holds, and another one reads it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_FIELDS.pack(0, 0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _FIELDS.size)

    def read(self) -> Held:
        """What was written last; zeros before."""
        return Held(*_FIELDS.unpack_from(self._shared))

    def keep_writing(self) -> None:
        """Write what this process holds, in a thread of its own and for as long as it lives."""
        libc = ctypes.CDLL(None)
        libc.mallinfo2.restype = _Mallinfo2

        def write() -> None:
            while True:
                heap = libc.mallinfo2()
                _FIELDS.pack_into(self._shared, 0, sys.getallocatedblocks(), heap.uordblks + heap.hblkhd)
                time.sleep(_EVERY_S)

        threading.Thread(target=write, name="heap gauge", daemon=True).start()
