"""Keyed digests: equal for equal parts, and of no use without the key, which is in a file of its own."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from zkbridge.machine.folder import sync_folder

_KEY_BYTES = 32


class Digests:
    """Makes digests with the key in `ledger.key`. `is_new`: there was no key, so no digest of before can match."""

    def __init__(self, folder: Path) -> None:
        self.is_new = False
        self._key = self._load(folder / "ledger.key")

    def digest(self, *parts: bytes | str | None) -> bytes:
        """A digest of these parts, in their order; None differs from every text."""
        text = b"".join(b"-" if part is None else b"+%d:%s" % (len(raw := _raw(part)), raw) for part in parts)
        return hmac.digest(self._key, text, hashlib.sha256)

    def _load(self, path: Path) -> bytes:
        """Read the key, or make one.

        It is in a file of its own, so that PINs cannot be found by guessing with the ledger alone.
        """
        with contextlib.suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return key
        self.is_new = True
        key = secrets.token_bytes(_KEY_BYTES)
        fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fresh, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)  # before any digest is kept: with another key no redelivery would be recognised
        return key


def _raw(part: bytes | str) -> bytes:
    return part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
