"""A program that others wrote and that is asked over HTTP, in a folder of its own."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support import processes
from tests.support.waiting import wait_until


class WebProgram:
    """Its folder, its port of the loopback interface, its log, and its process while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = processes.free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def begin(
        self,
        command: Sequence[str | Path],
        *,
        ready: Callable[[], bool],
        timeout_s: float,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start it, and return when it is ready. Raises AssertionError with its log if it ends instead."""
        self._process = process = processes.start(command, log=self.folder / "log", env=env)
        what = f"{type(self).__name__}:\n{self.log}"
        wait_until(lambda: ready() or process.poll() is not None, timeout=timeout_s, what=what)
        assert process.poll() is None, self.log

    def stop(self) -> None:
        """End it as a system does."""
        assert self._process is not None
        process, self._process = self._process, None
        processes.stop(process, timeout=60)
