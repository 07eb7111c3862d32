"""Messages that the bridge could not read or keep: a bounded record of them on disk, without their payloads."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from zkbridge.contract.moments import moment
from zkbridge.contract.texts import shown
from zkbridge.machine.folder import sync_folder

log = logging.getLogger(__name__)

#: Entries that the file holds at most; the older half is dropped when it is full.
MOST_ENTRIES = 1000
#: Characters of a topic that are kept.
MOST_OF_A_TOPIC = 256


class Noted(NamedTuple):
    """The entry of a message; `first` if there was none before."""

    error_id: str
    first: bool


class SetAside:
    """The file `set-aside.jsonl` in the state directory, mode 0600: one JSON object a line.

    For any thread. A file that cannot be written costs no
    message: what would stand in it is in the log.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = folder / "set-aside.jsonl"
        self.count = 0  #: messages set aside since the start, each copy of one counted
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, str]] = {}  #: by digest, oldest first
        self._appends = self._read()

    def add(self, topic: str, digest: bytes, reason: str) -> Noted:
        """Note a message, unless it is in the file already."""
        with self._lock:
            return self._add(topic, digest, reason)

    def _add(self, topic: str, digest: bytes, reason: str) -> Noted:
        self.count += 1
        key = digest.hex()
        if (known := self._entries.get(key)) is not None:
            return Noted(known["error_id"], first=False)
        error_id = secrets.token_hex(4)
        entry = {
            "at": moment(self._clock()),
            "topic": shown(topic, MOST_OF_A_TOPIC),
            "digest": key,
            "reason": reason,
            "error_id": error_id,
        }
        self._entries[key] = entry
        try:
            self._write(entry)
        except OSError as error:
            log.error("%s cannot be written: %s", self.path, error.strerror)  # noqa: TRY400 - one line says it
        return Noted(error_id, first=True)

    def _read(self) -> bool:
        """Take up what is in the file; whether it is whole, so that the next entry may be appended."""
        try:
            text = self.path.read_bytes().decode(errors="replace")
        except OSError:
            return False
        read = [_entry(line) for line in text.splitlines()]
        self._entries = {entry["digest"]: entry for entry in read[-MOST_ENTRIES:] if entry is not None}
        return text.endswith("\n") and None not in read

    def _write(self, entry: dict[str, str]) -> None:
        """Append an entry. Where the file is full, or a power cut tore it, write the newer half, or all of it, anew."""
        if self._appends and len(self._entries) <= MOST_ENTRIES:
            _put(self.path, [entry], os.O_APPEND)
            return
        if len(self._entries) > MOST_ENTRIES:
            self._entries = dict(list(self._entries.items())[-MOST_ENTRIES // 2 :])
        anew = self.path.with_suffix(".new")
        _put(anew, self._entries.values(), os.O_TRUNC)
        anew.replace(self.path)
        sync_folder(self.path.parent)
        self._appends = True


def _entry(line: str) -> dict[str, str] | None:
    """An entry of the file; None if the line is none."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        entry = json.loads(line)
        return {**entry, "digest": str(entry["digest"]), "error_id": str(entry["error_id"])}
    return None


def _put(path: Path, entries: Iterable[dict[str, str]], mode: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write("".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries).encode())
        opened.flush()
        os.fsync(opened.fileno())
