"""Programs that a test starts, and that never outlive it."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import Any, Protocol

from tests.support.waiting import patience

FIRST_PORT = 20_000
LAST_PORT = 32_000
LOCALHOST = "127.0.0.1"

_held: list[socket.socket] = []


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on.

    It lies below the range from which the kernel serves outgoing connections and port 0, so that a program
    which is killed and started again finds its port still free.
    """
    random = SystemRandom()
    while True:
        port = random.randint(FIRST_PORT, LAST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind((LOCALHOST, port))
            except OSError:
                continue
        return port


def closed_port() -> int:
    """Return a TCP port of the loopback interface that refuses connections as long as this process lives.

    It is bound and not listened on: other tests choose ports too, and may not have this one.
    """
    holder = socket.socket()
    while True:
        try:
            holder.bind((LOCALHOST, free_port()))
        except OSError:
            continue
        _held.append(holder)
        port: int = holder.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Tell whether somebody accepts TCP connections on *port* of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOCALHOST, port)) == 0


def start(command: Sequence[str | Path], *, log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start *command*, its output appended to *log*; the kernel kills it when the calling thread ends.

    setpriv rather than preexec_fn, which Python 3.12 warns of in a process with threads.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **options,
        )


def descendants(of: int | None = None) -> dict[int, str]:
    """Return every living process under *of* (this one if None): its pid and its command line."""
    found: dict[int, str] = {}
    generation = {of or os.getpid()}
    while generation:
        # Asking the whole of /proc for its parents takes a hundred times as long, and every test asks.
        generation = {child for pid in generation for child in _children(pid) if child not in found}
        found |= {pid: command_line(pid) for pid in generation}
    return found


def _children(pid: int) -> Iterator[int]:
    """The living children of all its threads."""
    for told in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended while we were looking
            yield from (child for child in map(int, told.read_text().split()) if _is_alive(child))


def _is_alive(pid: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        # "pid (name) state …": the name may hold spaces and brackets of its own.
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False


def command_line(pid: int) -> str:
    """Return the command line of *pid*, empty if it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Process(Protocol):
    """As much of `subprocess.Popen` as it takes to stop one."""

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


def stop(process: Process, *, sign: int = signal.SIGTERM, timeout: float = 10) -> int:
    """Send *sign*, wait, and return the exit code; after *timeout* seconds kill the process and raise."""
    process.send_signal(sign)
    try:
        return process.wait(patience(timeout))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
