"""Daemons that start without their imports: a process that has them, and forks.

A start costs three quarters of a second of CPU time, twice that under coverage, nearly all of it imports, and the
tests start hundreds. What is forked is the same program from there on; of an environment for Python itself it obeys
PYTHONPATH. Tests of the command line, benchmarks and long torture start the program as anybody does.
"""

import ctypes
import gc
import importlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import coverage

from tests.support import processes

#: What a running daemon imports, sooner or later.
PRELOADED = (
    *("zkbridge.bridge.bridge", "zkbridge.cli.main", "zkbridge.runtime.systemd", "zkbridge.bridge.reload_signal"),
    *("zkbridge.metrics.recorder", "zkbridge.metrics.server", "ruamel.yaml", "importlib.metadata"),
)
_PR_SET_PDEATHSIG = 1


class Child:
    """A daemon that the nursery has born: as much of `subprocess.Popen` as tests use."""

    def __init__(self, nursery: "Nursery", pid: int, arguments: Sequence[str]) -> None:
        self.pid = pid
        self._nursery = nursery
        self._arguments = list(arguments)
        self._code: int | None = None
        self._handle = os.pidfd_open(pid)
        self._ending = threading.Lock()

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        if self._code is None and self._ends_within(0):
            self._bury()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended. Raises subprocess.TimeoutExpired."""
        if self._code is None:
            if not self._ends_within(timeout):
                raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
            self._bury()
        assert self._code is not None
        return self._code

    def send_signal(self, sign: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, sign)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ends_within(self, seconds: float | None) -> bool:
        waiting = select.poll()  # not `select`, which knows no descriptor above 1023
        waiting.register(self._handle, select.POLLIN)
        return bool(waiting.poll(None if seconds is None else seconds * 1000))

    def _bury(self) -> None:
        """Reap it, once: several threads of a test may have seen its end."""
        with self._ending:
            if self._code is None:
                self._code = self._nursery.ask(bury=self.pid)
                os.close(self._handle)


class Nursery:
    """A context manager; while it is open `current` is it, unless it is made with an `environment` of its own."""

    current: "Nursery | None" = None

    def __init__(self, log: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self._log = log
        self._environment = environment
        self._asking = threading.Lock()
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = processes.start(
                command,
                log=self._log,
                env=_without_coverage(os.environ) | dict(self._environment or {}),
                pass_fds=[theirs.fileno()],
            )
        self._socket, self._answers = ours, ours.makefile("rb")
        if self._environment is None:
            Nursery.current = self
        return self

    def __exit__(self, *_: object) -> None:
        if Nursery.current is self:
            Nursery.current = None
        self._answers.close()
        self._socket.close()  # which tells it to end
        self._process.wait(10)

    @property
    def pid(self) -> int:
        return self._process.pid

    def bear(self, arguments: Sequence[str], *, log: Path, env: Mapping[str, str], **more: Path | None) -> Child:
        """A process in which `zkbridge` begins with these arguments, its output appended to *log*.

        `stdin` and `errors` are files for its input and its stderr, `cwd` is its folder.
        """
        told = {name: str(path) for name, path in more.items() if path is not None}
        return Child(self, self.ask(arguments=list(arguments), log=str(log), env=dict(env), **told), arguments)

    def ask(self, **what: Any) -> int:
        """One request and its answer, from any thread; an answer that an interrupted request left unread is skipped."""
        with self._asking:
            number = next(self._numbers)
            self._socket.sendall(json.dumps({**what, "number": number}).encode() + b"\n")
            while answer := self._answers.readline():
                to, value = map(int, answer.split())
                if to == number:
                    return value
        raise AssertionError(f"the nursery has died: {self._log.read_text()}")


def _without_coverage(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}


def _serve(connection: socket.socket) -> list[str] | None:
    """Bear and bury until nobody asks any more; returns in each child too, with its arguments."""
    codes: dict[int, int] = {}  # of those that have ended, for a request that comes twice
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            asked = json.loads(line)
            if (pid := asked.get("bury")) is not None:
                if pid not in codes:
                    codes[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                answer = codes[pid]
            elif (answer := os.fork()) == 0:
                _settle_in(asked)
                return list(asked["arguments"])
            else:
                codes.pop(answer, None)
            connection.sendall(b"%d %d\n" % (asked["number"], answer))
    return None


def _settle_in(asked: Mapping[str, Any]) -> None:
    """What a start does besides imports: its own output and environment, coverage if wanted, an end with its parent."""
    environment: dict[str, str] = asked["env"]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for descriptor, path in ((1, asked["log"]), (2, asked.get("errors", asked["log"]))):
        _open_as(descriptor, path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if "stdin" in asked:
        _open_as(0, asked["stdin"], os.O_RDONLY)
    if "cwd" in asked:
        os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(environment)
    coverage.process_startup()
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.modules.pop("sitecustomize", None)
    with suppress(ModuleNotFoundError):
        importlib.import_module("sitecustomize")  # what tests break in a daemon's code, they break here


def _open_as(descriptor: int, path: str, flags: int) -> None:
    opened = os.open(path, flags | os.O_CLOEXEC, 0o666)
    os.dup2(opened, descriptor)
    os.close(opened)


def _main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    if arguments is not None:
        sys.argv[1:] = arguments
        importlib.import_module("zkbridge.cli.main").main(prog_name="zkbridge")


if __name__ == "__main__":
    _main()
