"""The daemon stays on one CPU: its threads hand each other one interpreter, and from CPU to CPU that is slow.

Only one of them runs Python at a time. Where they may be anywhere, handing over wakes another CPU, which has nothing of
what is worked on in its caches: the more threads have something to do, the more of that (docs/performance.md).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path


def stay_on_one_cpu() -> None:
    """Keep this thread, and those that it starts, on the CPU where the system has put it.

    The system balances what it starts, so several bridges come to lie apart; and it moves others away from a CPU that
    is busy. Nothing is done where the system knows no affinity or does not allow it, nor without a global lock.
    """
    if not (hasattr(os, "sched_setaffinity") and getattr(sys, "_is_gil_enabled", lambda: True)()):
        return
    with suppress(OSError, ValueError, IndexError):
        os.sched_setaffinity(0, {_this_cpu()})


def _this_cpu() -> int:
    """The CPU that this thread was last on (proc_pid_stat(5), field 39, `processor`)."""
    _, _, after_name = Path("/proc/thread-self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")
    return int(after_name.split()[36])
