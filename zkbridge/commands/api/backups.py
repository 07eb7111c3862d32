"""Where the backups of a device's users are: files that only the bridge's own user can read."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

from pydantic import BeforeValidator

from zkbridge.commands.api.rules import broken, described
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import add_texts

_ENDING = ".json"
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


class BackupFile(NamedTuple):
    """One file: its name without the ending, and its size."""

    name: str
    size: int


class Backups:
    """The backups of one device, in a folder of their own, which is made with the first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self) -> list[BackupFile]:
        """What there is, oldest first."""
        paths = self._folder.glob(f"*{_ENDING}") if self._folder.is_dir() else ()
        found = [BackupFile(path.name.removesuffix(_ENDING), path.stat().st_size) for path in paths]
        return sorted((each for each in found if _NAME.fullmatch(each.name)), key=lambda each: _order(each.name))

    def write(self, content: bytes, now: float) -> str:
        """Write a backup as a whole or not at all, named by the moment (seconds since 1970); its name."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        base = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        taken = {each.name for each in self.files()}
        name = next(each for each in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)
        draft = self._folder / f".{name}.part"
        draft.unlink(missing_ok=True)  # of a run that was killed
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._path(name))
        return name

    def read(self, name: str | None) -> tuple[str, bytes]:
        """A backup by its name, or the latest; its name and content. Raises BackupNotFound."""
        if name is None:
            files = self.files()
            if not files:
                raise BackupNotFound("none")
            name = files[-1].name
        try:
            return name, self._path(name).read_bytes()
        except FileNotFoundError:
            raise BackupNotFound(backup=name) from None

    def delete(self, name: str) -> None:
        """Delete a backup. Raises BackupNotFound."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise BackupNotFound(backup=name) from None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_ENDING}"


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
