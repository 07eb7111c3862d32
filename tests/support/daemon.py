"""The daemon in its own process, as systemd would run it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

from tests.support import processes
from tests.support.address import Address
from tests.support.nursery import Child, Nursery
from tests.support.waiting import patience, wait_until

#: Quick enough for tests, and still every part of the real thing.
QUICK = {"retry": {"initial_delay": 0.05, "max_delay": 0.2, "deadline": 60}, "probe_interval": 0}


def device(terminal: Address, **more: Any) -> dict[str, Any]:
    """The configuration of a simulated terminal; its timeout leaves a busy machine time to answer."""
    return {"host": terminal.host, "port": terminal.port, "timeout": 6, **more}


def client_id(folder: Path) -> str:
    """One for each folder: a session, and what waits in it, must not be another's where tests share a broker."""
    return f"zkb-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


class Daemon:
    """`zkbridge run` with its own folder; a context manager that stops it, and fails if it does not stop as asked.

    Being *covered* doubles the cost of a start, and one that is killed has nothing to report.
    """

    #: How many this process has started.
    started = 0

    def __init__(
        self,
        folder: Path,
        broker_port: int,
        devices: Mapping[str, Mapping[str, Any]],
        *,
        environment: Mapping[str, str] | None = None,
        covered: bool = True,
        **more: Any,
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.log_path = folder / "log"
        folder.mkdir(parents=True, exist_ok=True)
        mqtt = {
            "host": "127.0.0.1",
            "port": broker_port,
            "client_id": client_id(folder),
            **more.pop("mqtt", {}),
        }
        self.config = {
            **deepcopy(QUICK),
            "mqtt": mqtt,
            "devices": devices,
            "state_dir": str(self.state),
            "lock_dir": str(folder / "locks"),
            **more,
        }  # fmt: skip - the order of the file
        self._environment = dict(environment or {})
        self._unwanted = ("ZKBRIDGE_",) if covered else ("ZKBRIDGE_", "COVERAGE_")
        self._process: subprocess.Popen[bytes] | Child | None = None
        self._starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process is None:
            return
        if kind is None:
            assert self.stop() == 0, self.log
        else:
            sys.stderr.write(self.log[-20_000:])
            self.kill()

    @property
    def log(self) -> str:
        """Everything it has logged so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def write_configuration(self) -> Path:
        """Write the file as `config` is now, as for a reload; its path."""
        path = self.folder / "config.yaml"
        path.write_text(json.dumps(self.config))
        return path

    def start(self, *, online: bool = True) -> None:
        """Start it; unless told otherwise, return when the broker has accepted it."""
        path = self.write_configuration()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(self._unwanted)}
        mark = len(self.log)
        self._process = self._begin(["run", "--config", str(path)], {**environment, **self._environment})
        if online:
            wait_until(
                lambda: "connected to" in self.log[mark:] or not self.running,
                timeout=60,
                what=f"the daemon to be online:\n{self.log}",
            )
            assert self.running, self.log

    def _begin(self, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes] | Child:
        """From the nursery, if there is one."""
        Daemon.started += 1
        if Nursery.current is not None:
            return Nursery.current.bear(arguments, log=self.log_path, env=environment)
        return processes.start([sys.executable, "-m", "zkbridge", *arguments], log=self.log_path, env=environment)

    def stop(self, *, timeout: float = 60) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        process, self._process = self._process, None
        return processes.stop(process, timeout=timeout)

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wait(self, timeout: float = 60) -> int:
        """Its exit code, when it ends by itself."""
        assert self._process is not None
        process, self._process = self._process, None
        return process.wait(patience(timeout))
