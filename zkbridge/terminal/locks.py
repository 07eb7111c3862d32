"""One holder per terminal, among threads and among the machine's processes of any user.

A process that waits holds a shared lock on a second file, so that one that holds a terminal for long can make room.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from zkbridge.contract.errors import DeviceTimeout, DeviceUnreachable
from zkbridge.machine.limits import SHORTAGES
from zkbridge.terminal.lock_files import open_existing, open_lock
from zkbridge.terminal.protocol.deadline import Deadline

#: Seconds between looks at a lock that another process holds: the system has no way to wait for one with an end.
_LOOK_AGAIN_S = 0.02
#: Seconds after which a thread that waits for another of this process is asked whether it still wants to.
_ASK_AGAIN_S = 0.5


class _Turn:
    """Orders the threads of this process that wait for one terminal."""

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
            descriptor = open_lock(self._address, self._lock_dir, "wanted")
        except OSError:
            return False  # then no other process can wait either
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


class Waiting(Protocol):
    """Is called while another process holds a terminal's lock; what it raises ends the wait."""

    def __call__(self) -> object:
        """Called now and then, by the thread that waits."""


def ignore() -> None:
    """For those who wait until the deadline."""


@contextmanager
def hold(address: str, *, lock_dir: Path | None, deadline: Deadline, waiting: Waiting = ignore) -> Iterator[Held]:
    """Hold the lock of the terminal at `host:port`.

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
        descriptor = open_lock(address, lock_dir, "lock")
    except OSError as error:
        turn.lock.release()
        SHORTAGES.note(error)
        raise DeviceUnreachable("failed", host=host, port=port, detail=f"lock file {error}") from error
    try:
        if not (_locked(descriptor) or _locked_in_time(descriptor, address, lock_dir, deadline, waiting)):
            raise DeviceTimeout(host=host, port=port)
        yield Held(address, lock_dir, turn)
    finally:
        os.close(descriptor)
        turn.lock.release()


def is_held(address: str, lock_dir: Path | None) -> bool:
    """Whether a process of this machine talks to the terminal at `host:port` now. Makes no lock file."""
    descriptor = open_existing(address, lock_dir)
    if descriptor is None:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _turn_of(address: str) -> _Turn:
    with _turns_guard:
        return _turns.setdefault(address, _Turn())


def _acquired(turn: _Turn, deadline: Deadline, waiting: Waiting) -> bool:
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


def _locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locked_in_time(descriptor: int, address: str, lock_dir: Path | None, deadline: Deadline, waiting: Waiting) -> bool:
    """Try again at intervals, and meanwhile show other processes that the terminal is wanted."""
    with ExitStack() as said:
        sign = -1
        with suppress(OSError):  # the wait does not depend on it
            sign = open_lock(address, lock_dir, "wanted")
            said.callback(os.close, sign)
        told = False
        while not deadline.passed:
            waiting()
            told = told or (sign >= 0 and _locked(sign, fcntl.LOCK_SH))
            time.sleep(min(_LOOK_AGAIN_S, deadline.remaining()))
            if _locked(descriptor):
                return True
        return False
