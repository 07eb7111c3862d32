"""Where the backups of a device's users are: files that only the bridge's own user can read."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

from pydantic import BeforeValidator

from zkbridge.commands.api.age import NotDecipherable, decrypt, encrypt
from zkbridge.commands.api.rules import broken, described
from zkbridge.config.models import Backup as BackupSettings
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import add_texts
from zkbridge.machine.folder import sync_folder

_ENDING, _ENCRYPTED, _DRAFT = ".json", ".json.age", ".part"
#: A name; of several in one second all but the first have a number after it.
_FORM = "%Y-%m-%dT%H-%M-%SZ"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d{1,6})?", re.ASCII)


add_texts(
    {
        "field.backup": (
            "debe ser el nombre de una copia de seguridad, por ejemplo 2030-01-31T08-00-00Z",
            "must be the name of a backup, for example 2030-01-31T08-00-00Z",
        )
    }
)


class BackupNotFound(BridgeError):
    """The bridge has no such backup of the device, or none at all. Facts: backup."""

    status, code = 404, "backup_not_found"
    sentences: ClassVar = {
        "": ("No hay ninguna copia de seguridad '{backup}'.", "There is no backup '{backup}'."),
        "none": ("No hay ninguna copia de seguridad de este dispositivo.", "There is no backup of this device."),
    }
    example: ClassVar = {"backup": "2030-01-31T08-00-00Z"}


class BackupDamaged(BridgeError):
    """The file is not a backup that this version can read; nothing was done. Facts: backup."""

    status, code = 409, "backup_damaged"
    sentences: ClassVar = {
        "": (
            "La copia de seguridad '{backup}' está dañada o es de otra versión.",
            "The backup '{backup}' is damaged, or of another version.",
        )
    }
    example: ClassVar = {"backup": "2030-01-31T08-00-00Z"}


class BackupFailed(BridgeError):
    """The bridge could not write, read or delete the file; nothing was done. Facts: cause."""

    status, code = 500, "backup_failed"
    sentences: ClassVar = {
        "": (
            "No se pudo usar el archivo de la copia de seguridad: {cause}.",
            "The file of the backup could not be used: {cause}.",
        )
    }
    example: ClassVar = {"cause": "No space left on device"}

    def __init__(self, reason: str = "", *, cause: str) -> None:
        super().__init__(reason, more={"retryable": True, "effect": "none"}, cause=cause)


class BackupFile(NamedTuple):
    """One backup: its name without the ending, its size in bytes, and whether it is encrypted."""

    name: str
    size: int
    encrypted: bool = False


class Backups:
    """The backups of one device, in a folder of their own, which is made with the first.

    An encrypted one may stand beside what was decrypted from it by hand, under the same name: they are one backup.
    """

    def __init__(self, folder: Path, settings: BackupSettings = BackupSettings()) -> None:  # noqa: B008 - it is frozen
        self._folder = folder
        self._settings = settings

    def files(self) -> list[BackupFile]:
        """What there is, oldest first. Raises BackupFailed.

        What is no ordinary file is left out: it may have been deleted just now, or a program may wait for its content.
        """
        found: dict[str, BackupFile] = {}
        with _failures(), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted(self._folder.iterdir()):  # NAME.json, if there is one, before NAME.json.age
                ending = next((each for each in (_ENCRYPTED, _ENDING) if path.name.endswith(each)), "")
                name = path.name.removesuffix(ending)
                if _NAME.fullmatch(name) and (size := _size(path)) is not None:
                    found.setdefault(name, BackupFile(name, size, ending == _ENCRYPTED))
        return sorted(found.values(), key=lambda each: _order(each.name))

    def latest_at(self, now: float) -> float | None:
        """When the latest backup was made, as its name says, in seconds since 1970; None where there is none.

        Raises BackupFailed. One of a moment that is still to come was made by a wrong clock, and does not count.
        """
        made = [_made_at(each.name) for each in self.files()]
        return max((moment for moment in made if moment <= now), default=None)

    def write(self, content: bytes, now: float) -> str:
        """Write a backup as a whole or not at all, named by the moment (seconds since 1970); its name.

        It is encrypted first where there is a recipient: nothing of it is on the disk in clear. Once it would survive a
        power cut, the oldest are deleted that are more than `keep`. Raises BackupFailed.
        """
        with _failures():
            return self._written(content, now)

    def _written(self, content: bytes, now: float) -> str:
        recipients = self._settings.recipient
        if recipients:
            content = encrypt(content, recipients)
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        base = datetime.fromtimestamp(now, UTC).strftime(_FORM)
        taken = {each.name for each in self.files()}
        name = next(each for each in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)
        self._drop_drafts()  # of runs that were killed: they hold PINs, and nothing lists them
        draft = self._folder / f".{name}{_DRAFT}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._path(name, _ENCRYPTED if recipients else _ENDING))
        except OSError:
            self._drop_drafts()
            raise
        # The folders' own names too, whenever they were made: a run may have ended before it had synced them.
        for folder in (self._folder, *self._folder.parents[:2]):
            sync_folder(folder)
        self._drop_oldest(but=name)
        return name

    def read(self, name: str | None) -> tuple[str, bytes]:
        """A backup by its name, or the latest; its name and content.

        Raises BackupNotFound, BackupEncrypted where there is no identity for it, BackupDamaged, BackupFailed.
        """
        with _failures():
            return self._found(name)

    def _found(self, name: str | None) -> tuple[str, bytes]:
        if name is None:
            files = self.files()
            if not files:
                raise BackupNotFound("none")
            name = files[-1].name
        try:
            return name, _content(self._path(name, _ENDING))
        except FileNotFoundError:
            pass
        try:
            content = _content(self._path(name, _ENCRYPTED))
        except FileNotFoundError:
            raise BackupNotFound(backup=name) from None
        try:
            return name, decrypt(name, content, self._settings.identity_file)
        except NotDecipherable:
            raise BackupDamaged(backup=name) from None

    def delete(self, name: str) -> None:
        """Delete a backup. Raises BackupNotFound, BackupFailed."""
        with _failures():
            paths = [path for ending in (_ENDING, _ENCRYPTED) if _size(path := self._path(name, ending)) is not None]
            if not paths:
                raise BackupNotFound(backup=name)
            for path in paths:
                path.unlink(missing_ok=True)

    def _drop_oldest(self, *, but: str) -> None:
        """Delete the oldest beyond `keep` (0: none), never the one just made, even if others have a later name."""
        others = [each.name for each in self.files() if each.name != but]
        for name in others[: max(0, len(others) + 1 - self._settings.keep)] if self._settings.keep else ():
            with contextlib.suppress(BackupNotFound):  # somebody was faster
                self.delete(name)

    def _drop_drafts(self) -> None:
        for draft in self._folder.glob(f".*{_DRAFT}"):
            draft.unlink(missing_ok=True)

    def _path(self, name: str, ending: str) -> Path:
        return self._folder / f"{name}{ending}"


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """What the machine refuses, as the error for the caller."""
    try:
        yield
    except OSError as error:
        raise BackupFailed(cause=os.strerror(error.errno or errno.EIO)) from None


def _size(path: Path) -> int | None:
    """The bytes of an ordinary file; None for anything else, and for a file that has gone."""
    try:
        found = path.stat()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _content(path: Path) -> bytes:
    """What an ordinary file holds. Raises FileNotFoundError for anything else; it is not waited for."""
    if _size(path) is None:
        raise FileNotFoundError(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return file.read()


def _made_at(name: str) -> float:
    """The moment that a name says; 0 for digits that are no date."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(name.partition("Z")[0] + "Z", _FORM).replace(tzinfo=UTC).timestamp()
    return 0.0


def _order(name: str) -> tuple[str, int]:
    """The moment, and which of those that were made in one second."""
    moment, _, number = name.partition("Z")
    return moment, int(number.removeprefix("-") or 1)


def _backup_name(value: object) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise broken("backup")
    return value


BackupName = Annotated[
    str,
    BeforeValidator(_backup_name),
    described("The name of a backup, as `device/backups` lists it.", "string", examples=["2030-01-31T08-00-00Z"]),
]
