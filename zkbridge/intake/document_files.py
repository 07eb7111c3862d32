"""Documents of desired users in files of a directory: which files have changed, and what they hold."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from zkbridge.commands.desired.refusals import Refused
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BodyRequired
from zkbridge.contract.messages import parse_object
from zkbridge.contract.plans import MAX_BYTES, MAX_USERS

#: Endings of files that are documents, in the order in which they are looked for.
ENDINGS = (".json", ".csv")
#: How a table writes true and false; any other text in `blocked` breaks the field's rule.
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class Signature(NamedTuple):
    """What shows that a file is another one, or is being written: its inode, size and time."""

    inode: int
    size: int
    changed_ns: int


def file_of(directory: Path | None, name: str) -> Path | None:
    """The document of a device or group, if there is one, and the directory can be looked at."""
    if directory is None:
        return None
    return next((path for ending in ENDINGS if _is_file(path := directory / f"{name}{ending}")), None)


def _is_file(path: Path) -> bool:
    """Whether it is a file; no where the machine does not say: a directory of the network may go away at any time."""
    with suppress(OSError):
        return path.is_file()
    return False


class FileWatch:
    """Says which documents have changed and are written whole. A file counts once two looks show the same of it."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Path, Signature]] = {}
        self._taken: dict[str, tuple[Path, Signature]] = {}

    def changed(self, directory: Path, names: Iterable[str]) -> list[tuple[str, Path]]:
        """The devices and groups with a document that is to be read now, each once for each change."""
        found: list[tuple[str, Path]] = []
        for name in names:
            path = file_of(directory, name)
            signature = None if path is None else signature_of(path)
            if path is None or signature is None:
                self._seen.pop(name, None)
                continue
            now = (path, signature)
            if self._seen.get(name) == now and self._taken.get(name) != now:
                self._taken[name] = now
                found.append((name, path))
            self._seen[name] = now
        return found


def signature_of(path: Path) -> Signature | None:
    """That of a file; None where it is not there just now."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Signature(status.st_ino, status.st_size, status.st_mtime_ns)


def read_file(path: Path) -> JsonObject | None:
    """The fields of the document in a file; None where it is being written, and is to be read again.

    Raises BodyRequired, or Refused for a table that is cut off, has too few or too many cells, or is too large.
    """
    before = signature_of(path)
    if before is None:
        return None
    if before.size > MAX_BYTES:
        raise Refused("document_too_large", users=MAX_USERS, bytes=MAX_BYTES)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused("file_unreadable", file=path.name, reason=error.strerror) from None
    if signature_of(path) != before:
        return None
    if path.suffix == ".csv":
        return {"users": _rows(content)}
    return parse_object(content.removeprefix(b"\xef\xbb\xbf"))


def _rows(content: bytes) -> list[dict[str, Any]]:
    import csv  # noqa: PLC0415 - few bridges read documents from files, and none needs it for the start

    if not content.endswith(b"\n"):
        raise Refused("file_cut_off")
    try:
        text = content.decode("utf-8-sig")
        first = text.partition("\n")[0]
        comma = ";" if first.count(";") > first.count(",") else ","
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)  # a cell keeps its line breaks
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error):
        raise Refused("file_no_table") from None
    names = [name.strip() for name in rows[0][1]] if rows else []
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise BodyRequired("twice", text=twice[0])
    for line, row in rows:
        if row and len(row) != len(names):
            raise Refused("file_row", line=line, cells=len(row), columns=len(names))
    return [_user(dict(zip(names, row, strict=True))) for _, row in rows[1:] if row]


def _user(cells: dict[str, str]) -> dict[str, Any]:
    """An empty cell is a field that is not named."""
    named: dict[str, Any] = {name: cell for name, cell in cells.items() if cell.strip()}
    if (blocked := named.get("blocked")) is not None:
        named["blocked"] = _TRUTH.get(str(blocked).strip().lower(), blocked)
    return named
