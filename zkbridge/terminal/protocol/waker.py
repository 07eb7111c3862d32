"""A way to interrupt a thread that waits for a terminal."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from zkbridge.terminal.protocol.deadline import Deadline


class Waker:
    """Something to wait for beside a socket: `wake` ends the wait from any thread, once and for all.

    To be closed, or used in a `with`; waking a closed one does nothing.
    """

    def __init__(self) -> None:
        self._listening, self._calling = os.pipe()
        os.set_blocking(self._calling, False)
        self._lock = threading.Lock()
        self.woken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wake(self) -> None:
        """End the wait, or the next one."""
        with self._lock:  # or the number might be another file's by now
            self.woken = True
            if self._calling >= 0:
                with suppress(BlockingIOError):  # full: it is awake already
                    os.write(self._calling, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait to be woken; whether that has happened."""
        poll = select.poll()
        poll.register(self._listening, select.POLLIN)
        return self.woken or bool(poll.poll(seconds * 1000))

    def fileno(self) -> int:
        """What to wait for."""
        return self._listening

    def close(self) -> None:
        """Give the files back; may be called twice."""
        with self._lock:
            for descriptor in (self._listening, self._calling):
                if descriptor >= 0:
                    os.close(descriptor)
            self._listening = self._calling = -1


def wait_readable(descriptor: int, until: Deadline, waker: Waker | None = None) -> bool:
    """Wait until there is something to read; False when the time is over, or somebody woke us and there is nothing."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if waker is not None:
        poll.register(waker.fileno(), select.POLLIN)
    ready = poll.poll(until.remaining() * 1000)
    return any(ready_descriptor == descriptor for ready_descriptor, _ in ready)
