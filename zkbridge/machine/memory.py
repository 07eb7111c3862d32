"""Returns freed memory of this process to the operating system."""

from __future__ import annotations

from contextlib import suppress

#: Seconds from one call to the next.
EVERY_S = 300.0


def give_back() -> float:
    """Return the free memory of the C library's heap to the operating system; returns the seconds until the next call.

    By itself glibc returns only free memory at the end of the heap. A large table that was read and freed leaves a
    gap, in which small blocks are then allocated. So resident memory rose by 8 MB in half an hour of `make soak`,
    while the memory in use stayed the same (docs/promises.md). Other C libraries have no such call (malloc_trim(3)).
    """
    # These errors mean another C library, or a sandbox that forbids what ctypes needs.
    with suppress(ImportError, AttributeError, OSError, MemoryError):
        import ctypes  # noqa: PLC0415 - no start is to wait for it

        ctypes.CDLL(None).malloc_trim(0)
    return EVERY_S
