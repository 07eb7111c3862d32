"""The command `simulate` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen
from typing import NamedTuple

COMMAND = [sys.executable, "-W", "error", "-m", "zkbridge.simulator", "--port", "0"]


class Place(NamedTuple):
    """Where a terminal in another process listens."""

    host: str
    port: int


@contextmanager
def running(*options: str) -> Iterator[Popen[str]]:
    """The process; killed if the test does not end it."""
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
