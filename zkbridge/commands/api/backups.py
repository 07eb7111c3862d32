"""Where the backups of a device's users are: files that only the bridge's own user can read."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

from pydantic import BeforeValidator

from zkbridge.commands.api.age import NotDecipherable, decrypt, encrypt
from zkbridge.commands.api.rules import broken, described
from zkbridge.config.models import Backup as BackupSettings
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import add_texts

_ENDING, _ENCRYPTED = ".json", ".json.age"
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
    """There is no such backup of the device, or none at all. Facts: backup."""

    status, code = 404, "backup_not_found"
    sentences: ClassVar = {
        "": ("No hay ninguna copia de seguridad '{backup}'.", "There is no backup '{backup}'."),
        "none": ("No hay ninguna copia de seguridad de este dispositivo.", "There is no backup of this device."),
    }
    example: ClassVar = {"backup": "2030-01-31T08-00-00Z"}


class BackupDamaged(BridgeError):
    """The file is no backup that this version can read; nothing was done. Facts: backup."""

    status, code = 409, "backup_damaged"
    sentences: ClassVar = {
        "": (
            "La copia de seguridad '{backup}' está dañada o es de otra versión.",
            "The backup '{backup}' is damaged, or of another version.",
        )
    }
    example: ClassVar = {"backup": "2030-01-31T08-00-00Z"}


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
        """What there is, oldest first."""
        found: dict[str, BackupFile] = {}
        for ending in (_ENCRYPTED, _ENDING):
            for path in self._folder.glob(f"*{ending}") if self._folder.is_dir() else ():
                name = path.name.removesuffix(ending)
                if _NAME.fullmatch(name):
                    found[name] = BackupFile(name, path.stat().st_size, ending == _ENCRYPTED)
        return sorted(found.values(), key=lambda each: _order(each.name))

    def latest_at(self, now: float) -> float | None:
        """When the latest backup was made, as its name says, in seconds since 1970; None where there is none.

        One of a moment that is still to come was made by a wrong clock, and does not count.
        """
        made = [_made_at(each.name) for each in self.files()]
        return max((moment for moment in made if moment <= now), default=None)

    def write(self, content: bytes, now: float) -> str:
        """Write a backup as a whole or not at all, named by the moment (seconds since 1970); its name.

        It is encrypted first where there is a recipient: nothing of it is on the disk in clear. Once it would survive a
        power cut, the oldest are deleted that are more than `keep`.
        """
        recipients = self._settings.recipient
        if recipients:
            content = encrypt(content, recipients)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        base = datetime.fromtimestamp(now, UTC).strftime(_FORM)
        taken = {each.name for each in self.files()}
        name = next(each for each in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)
        draft = self._folder / f".{name}.part"
        draft.unlink(missing_ok=True)  # of a run that was killed
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._path(name, _ENCRYPTED if recipients else _ENDING))
        _sync(self._folder)
        self._drop_oldest(but=name)
        return name

    def read(self, name: str | None) -> tuple[str, bytes]:
        """A backup by its name, or the latest; its name and content.

        Raises BackupNotFound, BackupEncrypted where there is no identity for it, BackupDamaged.
        """
        if name is None:
            files = self.files()
            if not files:
                raise BackupNotFound("none")
            name = files[-1].name
        try:
            return name, self._path(name, _ENDING).read_bytes()
        except FileNotFoundError:
            pass
        try:
            content = self._path(name, _ENCRYPTED).read_bytes()
        except FileNotFoundError:
            raise BackupNotFound(backup=name) from None
        try:
            return name, decrypt(name, content, self._settings.identity_file)
        except NotDecipherable:
            raise BackupDamaged(backup=name) from None

    def delete(self, name: str) -> None:
        """Delete a backup. Raises BackupNotFound."""
        paths = [path for ending in (_ENDING, _ENCRYPTED) if (path := self._path(name, ending)).exists()]
        if not paths:
            raise BackupNotFound(backup=name)
        for path in paths:
            path.unlink(missing_ok=True)

    def _drop_oldest(self, *, but: str) -> None:
        """Keep as many as are to be kept, the one that was just made among them, whatever the clock said before."""
        others = [each.name for each in self.files() if each.name != but]
        for name in others[: max(0, len(others) + 1 - self._settings.keep)] if self._settings.keep else ():
            self.delete(name)

    def _path(self, name: str, ending: str) -> Path:
        return self._folder / f"{name}{ending}"


def _sync(folder: Path) -> None:
    """Have the names in a folder survive a power cut, where the file system can sync a folder (else EINVAL)."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(opened)


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
