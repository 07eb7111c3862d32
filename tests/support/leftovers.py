"""What a test leaves behind: threads that keep a program from ending, and processes."""

import os
import signal
import threading
from dataclasses import dataclass, field
from typing import Self

from tests.support.processes import descendants

# multiprocessing keeps one helper for the life of the program that uses it.
KEPT_BY_PYTHON = "multiprocessing.resource_tracker"


@dataclass(frozen=True)
class Leftovers:
    """The threads and processes there are now, less those there were at the time of *before*."""

    threads: frozenset[threading.Thread] = field(default_factory=frozenset)
    processes: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def since(cls, before: Self | None = None) -> Self:
        threads = frozenset(thread for thread in threading.enumerate() if not thread.daemon)
        processes = frozenset(pid for pid, command in descendants().items() if KEPT_BY_PYTHON not in command)
        if before is None:
            return cls(threads, processes)
        return cls(threads - before.threads, processes - before.processes)

    def __bool__(self) -> bool:
        return bool(self.threads or self.processes)

    def __str__(self) -> str:
        commands = descendants()
        processes = [f"process {pid} ({commands.get(pid, 'ended just now')})" for pid in sorted(self.processes)]
        return "; ".join([*sorted(f"thread {thread.name}" for thread in self.threads), *processes])

    def kill(self) -> None:
        """End the processes, so that the tests to come do not suffer from them."""
        for pid in self.processes & descendants().keys():
            os.kill(pid, signal.SIGKILL)
