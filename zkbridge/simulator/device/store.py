"""A terminal's tables in a file: a line of JSON for every change, so that a kill loses nothing acknowledged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zkbridge.simulator.wire.tables import Change


class Store:
    """The file of one terminal. The last line may be torn by a kill; it was then not acknowledged either."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def changes(self) -> Iterator[Change]:
        """What the file holds, oldest first; nothing when there is no file."""
        if self.path.exists():
            yield from read_changes(self.path)

    def begin(self, state: Iterable[Change]) -> None:
        """Make the file hold just this state, in one step, and be ready for changes."""
        self.close()
        write_state(self.path, state)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)

    def append(self, changes: Iterable[Change]) -> None:
        """Keep changes; they are with the system when this returns."""
        if self._file >= 0:
            _write_all(self._file, _lines(changes))

    def close(self) -> None:
        """Leave the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_changes(path: Path) -> Iterator[Change]:
    """What a file of tables holds, oldest first; what stands after the last end of line was never whole."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)


def write_state(path: Path, state: Iterable[Change]) -> None:
    """Write a state to a file that appears whole or not at all; its owner alone can read it."""
    draft = path.with_name(path.name + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(handle, _lines(state))
    finally:
        os.close(handle)
    draft.replace(path)


def _lines(changes: Iterable[Change]) -> bytes:
    return b"".join(json.dumps(change, separators=(",", ":")).encode() + b"\n" for change in changes)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
