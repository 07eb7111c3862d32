"""Storage that keeps what was synced: a folder worked out from the journal that `torture/shim.c` writes of a program.

Two models of what a power cut leaves of names (of files made, renamed and removed since the last sync):

`ordered`: as ext4, btrfs and XFS do. Names change in the order of the program, and a cut leaves the first of the
changes; a sync of a file makes its own name durable, and so every change before that one.
`strict`: what POSIX promises. Only a sync of the folder makes names durable, and a cut leaves any of the changes.

In both a sync of a file makes its data and its size durable. Of what was written later any sector of 512 bytes may be
there or not, whatever the order, in the state of any write since; a sector is never torn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from torture.journal import Kind, Operation

SECTOR = 512
Model = Literal["ordered", "strict"]
MODELS: tuple[Model, ...] = ("ordered", "strict")
#: How the name of SQLite's shared memory ends: programs write to it without a call, and it means nothing after a cut.
MAPPED = "-shm"
#: The name of the folder itself, for `ignored`.
FOLDER = ""

_CREATED, _EMPTIED = 1, 2


class Stored(NamedTuple):
    """A file after a cut."""

    content: bytes
    mode: int


#: A folder after a cut: the files by their names.
Image = Mapping[str, Stored]


class _Change(NamedTuple):
    """A write of `data` at an offset, or, without data, a new size."""

    where: int
    data: bytes | None


@dataclass(eq=False)
class _File:
    """What is durable, and what has changed since."""

    durable: bytearray = field(default_factory=bytearray)
    mode: int = 0o600
    changes: list[_Change] = field(default_factory=list)

    def current(self) -> bytes:
        """As the program sees it."""
        content = bytearray(self.durable)
        for change in self.changes:
            _apply(content, change)
        return bytes(content)

    def sync(self) -> None:
        for change in self.changes:
            _apply(self.durable, change)
        self.changes = []

    def lose(self, random: Random) -> bytes:
        """What a cut leaves."""
        count = len(self.changes)
        mood = random.choice(["nothing", "all", "the first", "some", "sectors"])
        if mood == "nothing" or not count:
            return bytes(self.durable)
        kept = {
            "all": range(1, count + 1),
            "the first": range(1, random.randint(0, count) + 1),
            "some": [number for number in range(1, count + 1) if random.random() < 0.5],
            "sectors": range(1, count + 1),
        }[mood]
        return self._left(random, set(kept), torn=mood == "sectors")

    def _left(self, random: Random, kept: set[int], *, torn: bool) -> bytes:
        """Each sector as the last of the `kept` changes has left it, or, `torn`, as any of them has."""
        versions: dict[int, dict[int, bytes]] = defaultdict(dict)
        sizes = {0: len(self.durable)}
        content = bytearray(self.durable)
        for number, change in enumerate(self.changes, 1):
            before = len(content)
            _apply(content, change)
            if len(content) != before:
                sizes[number] = len(content)
            for sector in _touched(change, before):
                versions[sector][number] = bytes(content[sector * SECTOR : (sector + 1) * SECTOR])
        choose = random.choice if torn else max
        size = sizes[choose([0, *(number for number in sizes if number in kept)])]
        left = bytearray(max(size, len(self.durable)))
        left[: len(self.durable)] = self.durable
        for sector, states in versions.items():
            number = choose([0, *(number for number in states if number in kept)])
            if number:
                _apply(left, _Change(sector * SECTOR, states[number].ljust(SECTOR, b"\0")))
        return bytes(left[:size].ljust(size, b"\0"))


def _apply(content: bytearray, change: _Change) -> None:
    if change.data is None:
        del content[change.where :]
        content.extend(bytes(change.where - len(content)))
        return
    if change.where > len(content):
        content.extend(bytes(change.where - len(content)))
    content[change.where : change.where + len(change.data)] = change.data


def _touched(change: _Change, size_before: int) -> Iterable[int]:
    """The sectors that a change makes different."""
    end = size_before if change.data is None else change.where + len(change.data)
    return range(change.where // SECTOR, (max(end, change.where) + SECTOR - 1) // SECTOR)


class _Renaming(NamedTuple):
    """A change of names: `name` is `file` from now on, and `gone` is nothing."""

    name: str | None
    file: _File | None
    gone: str | None


class Disk:
    """A folder on storage that loses what was not synced; begins as an image. Syncs of `ignored` files do nothing."""

    def __init__(self, image: Image, *, model: Model, ignored: Container[str] = ()) -> None:
        self.model = model
        self._ignored = ignored
        self._durable = {name: _File(bytearray(stored.content), stored.mode) for name, stored in image.items()}
        self._names = dict(self._durable)
        self._renamings: list[_Renaming] = []
        self._open: dict[int, tuple[str, _File | None]] = {}

    def do(self, operations: Iterable[Operation]) -> None:
        """Follow the program. Raises ValueError for what a state folder has no use for."""
        for operation in operations:
            self._do(operation)

    def current(self) -> dict[str, bytes]:
        """The files as the program sees them."""
        return {name: file.current() for name, file in self._names.items()}

    def keep(self) -> Image:
        """What is there when all was written and no cut came."""
        return {name: Stored(file.current(), file.mode) for name, file in self._names.items()}

    def cut(self, random: Random) -> Image:
        """What a power cut leaves now."""
        names = dict(self._durable)
        for renaming in self._surviving(random):
            _rename(names, renaming)
        left = {file: file.lose(random) for file in dict.fromkeys(names.values())}
        return {name: Stored(left[file], file.mode) for name, file in names.items()}

    def _surviving(self, random: Random) -> list[_Renaming]:
        changes = self._renamings
        mood = random.choice(["nothing", "all", "the first", "some"])
        if mood == "all":
            return changes
        if mood == "nothing":
            return []
        if mood == "some" and self.model == "strict":
            return [change for change in changes if random.random() < 0.5]
        return changes[: random.randint(0, len(changes))]

    def _do(self, operation: Operation) -> None:
        match operation.kind:
            case Kind.OPEN:
                self._opened(operation)
            case Kind.CLOSE:
                self._open.pop(operation.descriptor, None)
            case Kind.SYNC:
                self._synced(operation.descriptor)
            case Kind.WRITE:
                self._written(operation).changes.append(_Change(operation.where, operation.data))
            case Kind.SIZE | Kind.TRUNCATE:
                self._written(operation).changes.append(_Change(operation.where, None))
            case Kind.RENAME | Kind.LINK | Kind.UNLINK:
                name = operation.other or None
                gone = None if operation.kind is Kind.LINK else operation.path
                self._rename(_Renaming(name, self._names[operation.path], gone))
            case Kind.MKDIR | Kind.RMDIR:
                raise ValueError(f"a folder in the folder: {operation.path}")

    def _opened(self, operation: Operation) -> None:
        path = operation.path
        if path == FOLDER:
            self._open[operation.descriptor] = FOLDER, None
            return
        if operation.where & _CREATED:
            self._rename(_Renaming(path, _File(mode=operation.mode), None))
        elif operation.where & _EMPTIED:
            self._names[path].changes.append(_Change(0, None))
        self._open[operation.descriptor] = path, self._names[path]

    def _written(self, operation: Operation) -> _File:
        if operation.kind is Kind.TRUNCATE:
            return self._names[operation.path]
        _, file = self._open[operation.descriptor]
        assert file is not None, "nobody writes to a folder"
        return file

    def _synced(self, descriptor: int) -> None:
        name, file = self._open[descriptor]
        if name in self._ignored:
            return
        if file is None:
            self._commit(len(self._renamings))
            return
        file.sync()
        if self.model == "ordered":
            own = [number for number, change in enumerate(self._renamings, 1) if change.file is file and change.name]
            self._commit(max(own, default=0))

    def _rename(self, renaming: _Renaming) -> None:
        self._renamings.append(renaming)
        _rename(self._names, renaming)

    def _commit(self, count: int) -> None:
        for renaming in self._renamings[:count]:
            _rename(self._durable, renaming)
        del self._renamings[:count]


def _rename(names: dict[str, _File], renaming: _Renaming) -> None:
    """Change names; what was to lose its old name and never got it has no new one either."""
    if renaming.gone is not None:
        if names.get(renaming.gone) is not renaming.file:
            return
        del names[renaming.gone]
    if renaming.name is not None and renaming.file is not None:
        names[renaming.name] = renaming.file


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def write_folder(folder: Path, image: Image) -> None:
    """Have a folder hold exactly this."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, stored in image.items():
        path = folder / name
        path.touch(mode=stored.mode)
        if stored.content.strip(b"\0"):
            path.write_bytes(stored.content)
        else:
            with path.open("r+b") as file:
                file.truncate(len(stored.content))


def with_mapped(image: Image, seen: Mapping[str, bytes], random: Random) -> Image:
    """The image with what was written to mapped files: some of its sectors, for nobody ever syncs them."""
    mixed = dict(image)
    for name, stored in image.items():
        if name.endswith(MAPPED) and name in seen and random.random() < 0.7:
            content = bytearray(seen[name])
            for at in range(0, len(content), SECTOR):
                if random.random() < 0.3:
                    content[at : at + SECTOR] = bytes(len(content[at : at + SECTOR]))
            mixed[name] = Stored(bytes(content), stored.mode)
    return mixed
