"""Keeps the daemon's threads on one CPU, and has them wait longer for the interpreter.

Only one of them runs Python at a time. On several CPUs each change of thread wakes another CPU with cold caches; the
more threads are busy, the more it costs (docs/benchmarks.md).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

#: Seconds after which a thread that waits for the interpreter asks for it, and again. All that wait wake up for that,
#: and by Python's own 5 ms a thousand of them leave a CPU no time for the one that runs.
SWITCH_INTERVAL_S = 0.1


def share_the_interpreter() -> None:
    """Keep this thread, and those that it starts, on the CPU where it is now, and lengthen the switch interval.

    The system balances what it starts, so several bridges come to lie apart; and it moves others away from a CPU that
    is busy. Any CPU will do where the system knows no affinity or does not allow it. Nothing is done without a lock.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError, ValueError, IndexError):
            os.sched_setaffinity(0, {_this_cpu()})


def _this_cpu() -> int:
    """The CPU that this thread was last on (proc_pid_stat(5), field 39, `processor`)."""
    _, _, after_name = Path("/proc/thread-self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")
    return int(after_name.split()[36])
