"""One holder per terminal: between threads, and between processes of the machine whatever user they run as."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from zkbridge.contract.errors import DeviceTimeout, DeviceUnreachable
from zkbridge.terminal.deadline import Deadline

#: Seconds between looks at a lock that another process holds: the system has no way to wait for one with an end.
_LOOK_AGAIN_S = 0.02
#: Seconds after which a thread that waits for another of this process is asked whether it still wants to.
_ASK_AGAIN_S = 0.5
_LONGEST_NAME = 200

_threads: dict[str, threading.Lock] = {}
_threads_guard = threading.Lock()


@contextmanager
def hold(
    address: str, *, lock_dir: Path | None, deadline: Deadline, waiting: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Be the only one who talks to the terminal at `host:port`.

    Raises DeviceTimeout when the deadline passes first, DeviceUnreachable when no lock file can be had, and whatever
    `waiting` raises, which is called now and then until it is our turn. The lock ends with the process, however that
    ends.
    """
    host, _, port = address.rpartition(":")
    turn = _turn_of(address)
    # Threads wait for each other without looking again and again; only one of them then waits for other processes.
    while not turn.acquire(timeout=min(_ASK_AGAIN_S, deadline.remaining())):
        if deadline.passed:
            raise DeviceTimeout(host=host, port=port)
        waiting()
    try:
        descriptor = _open(address, lock_dir)
    except OSError as error:
        turn.release()
        detail = f"lock file: {error.strerror}"
        raise DeviceUnreachable("failed", host=host, port=port, detail=detail) from error
    try:
        if not _locked(descriptor, deadline, waiting):
            raise DeviceTimeout(host=host, port=port)
        yield
    finally:
        os.close(descriptor)
        turn.release()


def folder(lock_dir: Path | None) -> Path:
    """Where lock files lie: as told, else where all users of the machine look first. Raises OSError."""
    if lock_dir is not None:
        return _usable(lock_dir)
    with suppress(OSError):
        return _usable(Path("/run/lock/zkbridge"))
    return _usable(Path(tempfile.gettempdir()) / "zkbridge-lock")


def _turn_of(address: str) -> threading.Lock:
    with _threads_guard:
        return _threads.setdefault(address, threading.Lock())


def _usable(path: Path) -> Path:
    """The folder, made if need be so that every user can lock and none can take another's file away."""
    with suppress(FileExistsError):
        path.mkdir(parents=True)
        path.chmod(0o1777)  # mkdir's own mode would be cut by the umask
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise NotADirectoryError(0, f"{path} is no folder")
    return path


def _open(address: str, lock_dir: Path | None) -> int:
    """A descriptor of the lock file; nothing is ever written to it. Raises OSError."""
    path = folder(lock_dir) / f"{_file_name(address)}.lock"
    while True:
        # Never O_CREAT on a file that is there: in a sticky folder the kernel refuses that for another user's file.
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            os.fchmod(descriptor, 0o666)
            return descriptor


def _file_name(address: str) -> str:
    name = quote(address.lower(), safe=":")
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()


def _locked(descriptor: int, deadline: Deadline, waiting: Callable[[], object]) -> bool:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if deadline.passed:
            return False
        waiting()
        time.sleep(min(_LOOK_AGAIN_S, deadline.remaining()))
