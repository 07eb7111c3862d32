"""The lock folder and its files: opened so that no other user of the machine can make the bridge hang or lock nothing.

Any local user may create files in the folder, as in /tmp. So a file is opened without following links and without
waiting (a FIFO has no writer), and only a regular file is used. What cannot be used is an OSError with the path.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

#: Where lock files lie for all users of the machine.
SHARED = Path("/run/lock/zkbridge")
#: Neither follow a link, nor wait for whoever else opens a FIFO or a device.
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_LONGEST_NAME = 200


class LockUnusable(OSError):
    """A lock file cannot be used; `str` says which, and why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} {why}")


def open_lock(address: str, lock_dir: Path | None, kind: str) -> int:
    """A descriptor of the file of this kind (`lock`, `wanted`) for `host:port`; nothing is ever written to it.

    Raises LockUnusable.
    """
    path = folder(lock_dir) / f"{_file_name(address)}.{kind}"
    try:
        descriptor = _open(path)
    except OSError as error:
        raise LockUnusable(path, _why(path, error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LockUnusable(path, f"is not a regular file ({_owner(path)})")
    return descriptor


def open_existing(address: str, lock_dir: Path | None) -> int | None:
    """A descriptor of the lock file for `host:port`; None where there is none, or none that can be used."""
    try:
        return os.open(folder(lock_dir) / f"{_file_name(address)}.lock", os.O_RDONLY | _CAREFULLY)
    except OSError:
        return None


def folder(lock_dir: Path | None) -> Path:
    """Where lock files are: as configured, else where all users of the machine look first. Raises LockUnusable."""
    if lock_dir is not None:
        return _usable(lock_dir)
    with suppress(OSError):  # not on this machine, or read-only; what is there and cannot be used is an error
        _make(SHARED)
    if os.path.lexists(SHARED):
        return _usable(SHARED)
    import tempfile  # noqa: PLC0415 - with what it imports it is a hundredth of the start, and hardly ever needed

    return _usable(Path(tempfile.gettempdir()) / "zkbridge-lock")


def _usable(path: Path) -> Path:
    """The folder, made if need be so that every user can lock and none can take another's file away."""
    try:
        _make(path)
        found = path.lstat()
    except OSError as error:
        raise LockUnusable(path, f"cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise LockUnusable(path, "is not a folder")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise LockUnusable(path, "lets every user remove the others' files; set its mode to 1777")
    return path


def _make(path: Path) -> None:
    """Make the folder where there is nothing."""
    if os.path.lexists(path):
        return
    with suppress(FileExistsError):
        path.mkdir(parents=True)
        path.chmod(0o1777)  # mkdir's own mode would be cut by the umask


def _open(path: Path) -> int:
    while True:
        # Never O_CREAT on a file that is there: in a sticky folder the kernel refuses that for another user's file.
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY | _CAREFULLY)
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CAREFULLY, 0o666)
            os.fchmod(descriptor, 0o666)
            return descriptor


def _why(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return f"is a symbolic link ({_owner(path)})"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"cannot be opened: {error.strerror} ({_owner(path)})"
    return f"cannot be opened: {error.strerror}"


def _owner(path: Path) -> str:
    """Whose the file is; the folder's where there is no file, or where the folder may not be read."""
    for each in (path, path.parent):
        with suppress(OSError):
            return f"{each.name if each != path else 'it'} belongs to {_name(each.lstat().st_uid)}"
    return "its owner is unknown"


def _name(uid: int) -> str:
    with suppress(KeyError):
        return f"user {pwd.getpwuid(uid).pw_name}"
    return f"user id {uid}"


def _file_name(address: str) -> str:
    name = quote(address.lower(), safe=":")
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()
