"""A way to interrupt a thread that waits for a terminal."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Waker:
    """Something to wait for beside a socket: `wake` ends the wait from any thread, once and for all.

    It takes a descriptor when it is first waited for beside a socket. To be closed, or used in a `with`; waking a
    closed one does nothing.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        #: An eventfd(2), made when it is first waited for beside a socket; -1 before and afterwards.
        self._descriptor = -1
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def woken(self) -> bool:
        """Whether `wake` was called."""
        return self._event.is_set()

    def wake(self) -> None:
        """End the wait, or the next one."""
        self._event.set()
        with self._lock:  # or the number might be another file's by now
            self._ring()

    def wait(self, seconds: float) -> bool:
        """Wait to be woken; whether that has happened. Takes no descriptor."""
        return self._event.wait(seconds)

    def fileno(self) -> int:
        """What to wait for. Raises OSError when there are no more descriptors, and when it is closed."""
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            if self._descriptor < 0:
                self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                if self.woken:
                    self._ring()
            return self._descriptor

    def close(self) -> None:
        """Give the files back; may be called twice."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor, self._closed = -1, True

    def _ring(self) -> None:
        if self._descriptor >= 0:
            with suppress(BlockingIOError):  # its counter is full: it is awake already
                os.eventfd_write(self._descriptor, 1)
