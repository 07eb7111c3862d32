"""What the kernel knows of a process: CPU time, memory, wake-ups, bytes for the disk, fsyncs."""

from __future__ import annotations

import re
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.waiting import wait_until


def cpu_s(pid: int) -> float:
    """Seconds of CPU time of all its threads that live, and of those that have ended."""
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(ended[11]) + int(ended[12])
    exact = sum(int(told.split()[0]) for told in _told(pid, "schedstat")) / 1e9
    return max(exact, ticks / 100 - 0.02)  # ticks count the dead threads too, but only in hundredths


def cpu_of(command: Sequence[str]) -> float:
    """Seconds of CPU time that a program takes from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def resident_bytes(pid: int) -> int:
    """Memory in use now."""
    return _status(pid, "VmRSS") * 1024


def peak_bytes(pid: int) -> int:
    """The most memory that was ever in use."""
    return _status(pid, "VmHWM") * 1024


def threads(pid: int) -> int:
    """How many threads it has."""
    return _status(pid, "Threads")


def wakeups(pid: int) -> int:
    """How often its living threads have gone to sleep, and so been woken."""
    found = (re.search(r"^voluntary_ctxt_switches:\s+(\d+)", told, re.MULTILINE) for told in _told(pid, "status"))
    return sum(int(match[1]) for match in found if match)


def written_bytes(pid: int) -> int:
    """Bytes that it has caused to be written to the disk."""
    found = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


class Fsyncs:
    """How often a process waits for the disk while watched; `count` is None where there is no strace to tell."""

    count: int | None = None


@contextmanager
def watch_fsyncs(pid: int) -> Iterator[Fsyncs]:
    """Count with strace."""
    told = Fsyncs()
    program = shutil.which("strace")
    if program is None:
        yield told
        return
    with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryFile() as said:
        command = [program, "-f", "-q", "-e", "trace=fsync,fdatasync", "-o", file.name, "-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=said)
        wait_until(lambda: _status(pid, "TracerPid") or tracer.poll() is not None, what="strace to be attached")
        yield told
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        lines = Path(file.name).read_text().splitlines()
        told.count = sum("sync(" in line for line in lines)


def _told(pid: int, name: str) -> Iterator[str]:
    """What the kernel tells of each thread, less those that end just then."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            yield (task / name).read_text()


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
