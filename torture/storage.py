"""The state folder of a daemon on storage that loses what was not synced: its lives, each ended by a power cut."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.support.daemon import Daemon
from tests.support.nursery import Nursery
from torture.disk import MAPPED, MODELS, Disk, Image, Model, read_folder, with_mapped, write_folder
from torture.journal import Operation, read_journal

SHIM = Path(__file__).with_name("shim.c")
#: Of each life, so many other moments are looked at: whether the ledger that a cut would have left then can be read.
OTHER_MOMENTS = 3
_KILLED = -9


def build_shim(folder: Path) -> Path:
    """Compile `shim.c`. Raises FileNotFoundError without gcc, and AssertionError with gcc's words if that fails."""
    library = folder / "shim.so"
    flags = ("-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
    command: list[str | Path] = ["gcc", *flags, "-o", library, SHIM, "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


def shimmed_nursery(folder: Path) -> Nursery:
    """Where daemons come from whose files are watched."""
    return Nursery(folder / "nursery.log", environment={"LD_PRELOAD": str(build_shim(folder))})


class Storage:
    """What the folder held at the start of a life, and what a cut has left of it. `ignored` files are never synced."""

    def __init__(
        self,
        folder: Path,
        *,
        random: Random,
        models: Sequence[Model] = MODELS,
        ignored: Container[str] = (),
    ) -> None:
        self.cuts = self.operations = self.moments = 0
        #: What is wrong, as sentences.
        self.findings: list[str] = []
        self._folder = folder
        self._random = random
        self._models = models
        self._ignored = ignored
        self._image: Image = {}
        self._journal = folder.with_name("journal")
        self._aside = folder.with_name("looked at")
        self._cut_at = 0

    def begin(self, cut_at: int) -> dict[str, str]:
        """Have the folder as the last cut left it; the environment of a daemon that dies at a point, 0 for never."""
        self._journal.unlink(missing_ok=True)
        write_folder(self._folder, self._image)
        self._cut_at = cut_at
        return {
            "CUTS_FOLDER": str(self._folder),
            "CUTS_JOURNAL": str(self._journal),
            "CUTS_AT": str(cut_at),
        }

    def end(self, code: int) -> None:
        """The daemon has ended: by a cut, or because it was stopped."""
        operations = read_journal(self._journal)
        model = self._random.choice(self._models)
        disk = self._followed(operations, model)
        seen = read_folder(self._folder)
        if code != _KILLED or self._cut_at in (2 * len(operations), 2 * len(operations) + 1):
            self._compare(disk, seen)  # killed from outside, it may have done what it had no time to note
        if code == _KILLED:
            self._look_at_other_moments(operations, model)
            self._image = with_mapped(disk.cut(self._random), seen, self._random)
            self.cuts += 1
        else:
            self._image = disk.keep()
        self.operations += len(operations)

    def _followed(self, operations: Sequence[Operation], model: Model) -> Disk:
        disk = Disk(self._image, model=model, ignored=self._ignored)
        disk.do(operations)
        return disk

    def _compare(self, disk: Disk, seen: Mapping[str, bytes]) -> None:
        """Whether the journal has missed anything."""
        known = disk.current()
        differ = {name for name in known.keys() | seen.keys() if known.get(name) != seen.get(name)}
        if missed := sorted(name for name in differ if not name.endswith(MAPPED)):
            self.findings.append(f"the journal does not tell what was done to {', '.join(missed)}")

    def _look_at_other_moments(self, operations: Sequence[Operation], model: Model) -> None:
        for _ in range(OTHER_MOMENTS):
            count = self._random.randint(0, len(operations))
            write_folder(self._aside, self._followed(operations[:count], model).cut(self._random))
            self.moments += 1
            if (wrong := unreadable(self._aside / "ledger.db")) is not None:
                self.findings.append(
                    f"a cut after {count} of {len(operations)} operations leaves a ledger that is {wrong}"
                )


def unreadable(ledger: Path) -> str | None:
    """What is wrong with a ledger; None if it can be read, or is not there yet."""
    if not ledger.exists():
        return None
    try:
        with look_into(ledger) as db:
            verdict = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if verdict == "ok" else str(verdict)


@contextmanager
def look_into(ledger: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a ledger that nobody needs any more, in a `with`."""
    with closing(sqlite3.connect(ledger)) as db:
        db.execute("PRAGMA synchronous = OFF")
        yield db


class CutDaemon(Daemon):
    """A daemon on such storage. While it is `calm` it dies only when it is killed; else at a point drawn anew."""

    def __init__(self, *where: Any, nursery: Nursery, storage: Storage, random: Random, **settings: Any) -> None:
        super().__init__(*where, **settings)
        self.calm = True
        #: The point at which this life ends; 0 if it must be killed from outside.
        self.cut_at = 0
        self._nursery = nursery
        self._storage = storage
        self._random = random
        #: How many points a start takes, about.
        self._points_of_a_start = 100

    def start(self, *, online: bool = True) -> None:
        """As its parent does."""
        self.cut_at = 0 if self.calm else self._draw()
        self._environment = self._storage.begin(self.cut_at)
        super().start(online=online)

    def wait(self, timeout: float = 60) -> int:
        """As its parent does; then what a cut has left is in the folder at the next start."""
        code = super().wait(timeout)
        self._storage.end(code)
        return code

    def _begin(self, arguments: list[str], environment: dict[str, str]) -> Any:
        return self._nursery.bear(arguments, log=self.log_path, env=environment)

    def _draw(self) -> int:
        """The point at which it dies: in its start, soon after, or much later; 0: by a kill from outside."""
        random, start = self._random, self._points_of_a_start
        return random.choice(
            [0, random.randint(1, start), *(start + random.randint(1, most) for most in (50, 150, 400))]
        )
