"""One holder per terminal: between threads, and between processes of the machine whatever user they run as.

Who has to wait says so, by a shared lock on a second file: who holds a terminal for long can make room.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from zkbridge.contract.errors import DeviceTimeout, DeviceUnreachable
from zkbridge.terminal.protocol.deadline import Deadline

#: Seconds between looks at a lock that another process holds: the system has no way to wait for one with an end.
_LOOK_AGAIN_S = 0.02
#: Seconds after which a thread that waits for another of this process is asked whether it still wants to.
_ASK_AGAIN_S = 0.5
_LONGEST_NAME = 200


class _Turn:
    """Whose turn it is among the threads of this process, and how many wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0


_turns: dict[str, _Turn] = {}
_turns_guard = threading.Lock()


class Held:
    """A lock that is held."""

    def __init__(self, address: str, lock_dir: Path | None, turn: _Turn) -> None:
        self._address = address
        self._lock_dir = lock_dir
        self._turn = turn

    def wanted(self) -> bool:
        """Whether another thread, or another process of the machine, waits for the terminal."""
        if self._turn.waiting:
            return True
        try:
            descriptor = _open(self._address, self._lock_dir, "wanted")
        except OSError:
            return False  # then nobody else can have said so either
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


@contextmanager
def hold(
    address: str, *, lock_dir: Path | None, deadline: Deadline, waiting: Callable[[], object] = lambda: None
) -> Iterator[Held]:
    """Be the only one who talks to the terminal at `host:port`.

    Raises DeviceTimeout when the deadline passes first, DeviceUnreachable when no lock file can be had, and whatever
    `waiting` raises, which is called now and then until it is our turn. The lock ends with the process, however that
    ends.
    """
    host, _, port = address.rpartition(":")
    turn = _turn_of(address)
    # Threads wait for each other without looking again and again; only one of them then waits for other processes.
    if not _acquired(turn, deadline, waiting):
        raise DeviceTimeout(host=host, port=port)
    try:
        descriptor = _open(address, lock_dir, "lock")
    except OSError as error:
        turn.lock.release()
        detail = f"lock file: {error.strerror}"
        raise DeviceUnreachable("failed", host=host, port=port, detail=detail) from error
    try:
        if not (_locked(descriptor) or _locked_in_time(descriptor, address, lock_dir, deadline, waiting)):
            raise DeviceTimeout(host=host, port=port)
        yield Held(address, lock_dir, turn)
    finally:
        os.close(descriptor)
        turn.lock.release()


def folder(lock_dir: Path | None) -> Path:
    """Where lock files lie: as told, else where all users of the machine look first. Raises OSError."""
    if lock_dir is not None:
        return _usable(lock_dir)
    with suppress(OSError):
        return _usable(Path("/run/lock/zkbridge"))
    import tempfile  # noqa: PLC0415 - with what it imports it is a hundredth of the start, and hardly ever needed

    return _usable(Path(tempfile.gettempdir()) / "zkbridge-lock")


def _turn_of(address: str) -> _Turn:
    with _turns_guard:
        return _turns.setdefault(address, _Turn())


def _acquired(turn: _Turn, deadline: Deadline, waiting: Callable[[], object]) -> bool:
    with _turns_guard:
        turn.waiting += 1
    try:
        while not turn.lock.acquire(timeout=min(_ASK_AGAIN_S, deadline.remaining())):
            if deadline.passed:
                return False
            waiting()
        return True
    finally:
        with _turns_guard:
            turn.waiting -= 1


def _usable(path: Path) -> Path:
    """The folder, made if need be so that every user can lock and none can take another's file away."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        with suppress(FileExistsError):
            path.mkdir(parents=True)
            path.chmod(0o1777)  # mkdir's own mode would be cut by the umask
        found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(0, f"{path} is no folder")
    return path


def _open(address: str, lock_dir: Path | None, kind: str) -> int:
    """A descriptor of one of the address's files; nothing is ever written to it. Raises OSError."""
    path = folder(lock_dir) / f"{_file_name(address)}.{kind}"
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


def _locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locked_in_time(
    descriptor: int, address: str, lock_dir: Path | None, deadline: Deadline, waiting: Callable[[], object]
) -> bool:
    """Look again and again, and meanwhile say that the terminal is wanted."""
    with ExitStack() as said:
        sign = -1
        with suppress(OSError):  # without it we wait all the same
            sign = _open(address, lock_dir, "wanted")
            said.callback(os.close, sign)
        told = False
        while not deadline.passed:
            waiting()
            told = told or (sign >= 0 and _locked(sign, fcntl.LOCK_SH))
            time.sleep(min(_LOOK_AGAIN_S, deadline.remaining()))
            if _locked(descriptor):
                return True
        return False
