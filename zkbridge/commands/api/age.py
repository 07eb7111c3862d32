"""Encrypts and decrypts backups in the age format (age-encryption.org/v1).

The package pyrage does it. It is imported where something is encrypted or decrypted: a bridge without
`backup.recipient` does without it.
"""

from __future__ import annotations

import importlib.util
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from zkbridge.contract.errors import BridgeError

if TYPE_CHECKING:
    import pyrage

_SECRET = "AGE-SECRET-KEY-"  # noqa: S105 - what a secret key begins with
#: What age itself writes first.
_MAGIC = b"age-encryption.org/"


class BackupEncrypted(BridgeError):
    """The backup is encrypted, and the bridge has no identity that decrypts it; nothing was done.

    Facts: backup, and file.
    """

    status, code = 409, "backup_encrypted"
    sentences: ClassVar = {
        "": (
            "La copia de seguridad '{backup}' está cifrada; sin backup.identity_file el puente no puede leerla.",
            "The backup '{backup}' is encrypted; without backup.identity_file the bridge cannot read it.",
        ),
        "absent": (
            "La copia de seguridad '{backup}' está cifrada y no se puede leer backup.identity_file ({file}).",
            "The backup '{backup}' is encrypted and backup.identity_file ({file}) cannot be read.",
        ),
        "exposed": (
            "Cualquiera puede leer backup.identity_file ({file}); solo el puente debe poder leerlo (chmod 600).",
            "Every user can read backup.identity_file ({file}); only the bridge may read it (chmod 600).",
        ),
        "no_identity": (
            "backup.identity_file ({file}) no contiene una clave AGE-SECRET-KEY-1 que se pueda usar.",
            "backup.identity_file ({file}) holds no key AGE-SECRET-KEY-1 that can be used.",
        ),
        "other": (
            "La copia de seguridad '{backup}' está cifrada para otra clave que la de backup.identity_file ({file}).",
            "The backup '{backup}' is encrypted to another key than that in backup.identity_file ({file}).",
        ),
    }
    example: ClassVar = {"backup": "2030-01-31T08-00-00Z", "file": "/media/usb/backup.key"}


class NotDecipherable(Exception):
    """The content is damaged."""


def missing() -> str | None:
    """Why nothing can be encrypted or decrypted here; None if it can."""
    if importlib.util.find_spec("pyrage") is not None:
        return None
    if sys.maxsize < 2**32:  # the kernel of a 32-bit Raspberry Pi OS may be a 64-bit one
        return (
            "this is a 32-bit system, for which there is no build of pyrage, the package that encrypts: leave it empty"
        )
    return "the package pyrage is not installed: pip install 'zkbridge[age]'"


def recipient_faults(recipients: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The place of each text that is no recipient, and why; never the text, which may be a secret key."""
    import pyrage  # noqa: PLC0415 - see above

    for place, text in enumerate(recipients):
        try:
            pyrage.x25519.Recipient.from_str(text)
        except pyrage.RecipientError:
            if text.strip().upper().startswith(_SECRET):
                yield place, "is a secret key; give the public key, which begins with age1, and keep the secret one"
            else:
                yield place, "is not a recipient of age: a public key as age-keygen prints it, age1 and 58 characters"


def is_exposed(path: Path) -> bool:
    """Whether everybody on the machine can read, or replace, the file. Raises OSError."""
    return bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXO | stat.S_IWGRP))


def encrypt(content: bytes, recipients: Sequence[str]) -> bytes:
    """The content for whoever has the identity of one of the recipients."""
    import pyrage  # noqa: PLC0415 - see above

    return pyrage.encrypt(content, [pyrage.x25519.Recipient.from_str(each) for each in recipients])


def decrypt(name: str, content: bytes, identity_file: Path | None) -> bytes:
    """What was encrypted, by the identities in a file, which is read anew each time.

    Raises BackupEncrypted where it has none for this backup, NotDecipherable where the content is damaged.
    """
    if identity_file is None:
        raise BackupEncrypted(backup=name)
    if not content.startswith(_MAGIC):
        raise NotDecipherable
    import pyrage  # noqa: PLC0415 - see above

    identities = _identities(name, identity_file)
    try:
        return pyrage.decrypt(content, identities)
    except pyrage.DecryptError as error:
        if "matching" in str(error):  # "No matching keys found"
            raise BackupEncrypted("other", backup=name, file=identity_file) from None
        raise NotDecipherable from None


def _identities(name: str, path: Path) -> list[pyrage.x25519.Identity]:
    """The identities in a file, as age-keygen writes them: one a line, and comments. Raises BackupEncrypted."""
    import pyrage  # noqa: PLC0415 - see above

    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(path)
        exposed, text = is_exposed(path), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BackupEncrypted("absent", backup=name, file=path) from None
    if exposed:
        raise BackupEncrypted("exposed", backup=name, file=path)
    lines = [line for each in text.splitlines() if (line := each.strip()) and not line.startswith("#")]
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise BackupEncrypted("no_identity", backup=name, file=path)
    return found
