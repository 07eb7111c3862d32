"""A daemon for ARM, in the network of this machine."""

import subprocess
from pathlib import Path

from tests.support import processes
from tests.support.waiting import wait_until
from tests.systemd.rootfs import RootFs

#: Emulation is slow, and the machine may have others to serve (seconds).
PATIENCE_S = 300


def start(pi: RootFs, log: Path, *command: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start the daemon by *command* in a container on *pi*: the container, and the daemon's pid."""
    container = processes.start([*pi.nspawn("--pipe"), *command], log=log)

    def found() -> int:
        assert container.poll() is None, log.read_text()
        # Not the container's own helper, whose command line ends alike, and who is gone soon.
        there = processes.descendants(container.pid)
        return next((pid for pid, line in there.items() if "zkbridge run" in line and "nspawn" not in line), 0)

    return container, wait_until(found, timeout=PATIENCE_S, what="the daemon")
