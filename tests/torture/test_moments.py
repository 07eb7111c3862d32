"""Every moment of a few short programs that write to the state folder: what a power cut leaves at each can be used."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Container
from pathlib import Path
from random import Random
from textwrap import dedent

import pytest

from torture.disk import FOLDER, MODELS, Disk, Image, Model, Stored, read_folder, write_folder
from torture.journal import Kind, Operation, read_journal
from torture.storage import build_shim, look_into, unreadable
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.digests import Digests

#: How often the loss is drawn at each moment.
DRAWS = 2

#: What stands before each program: `promise` notes what holds from now on, whatever happens.
BEGIN = """
import json, os, sys
from pathlib import Path
folder, journal, promises = Path(sys.argv[1]), Path(sys.argv[2]), open(sys.argv[3], "w")

def promise(**what):
    print(json.dumps({"at": journal.stat().st_size, **what}), file=promises, flush=True)
"""


class Recording:
    """What a program did to the files of a folder, and what it promised meanwhile: (operations done, the promise)."""

    def __init__(self, image: Image, operations: list[Operation], promises: list[tuple[int, dict[str, str]]]) -> None:
        self.operations = operations
        self._image = image
        self._promises = promises

    def check(
        self,
        folder: Path,
        wrong: Callable[[Path, dict[str, str]], str | None],
        *,
        models: tuple[Model, ...] = MODELS,
        ignored: Container[str] = (),
        draws: Callable[[int], int] = lambda _: DRAWS,
    ) -> list[str]:
        """Cut at each moment, and say what is then wrong with the folder, given what was promised by then.

        `draws`: how often the loss is drawn after so many operations.
        """
        found = []
        disks = [Disk(self._image, model=model, ignored=ignored) for model in models]
        promised: dict[str, str] = {}
        for count in range(len(self.operations) + 1):
            for at, promise in self._promises:
                if at == count:
                    promised |= promise
            for disk in disks:
                disk.do(self.operations[max(count - 1, 0) : count])
                for draw in range(draws(count)):
                    write_folder(folder, disk.cut(Random(f"{count} {draw}")))
                    if (sentence := wrong(folder, promised)) is not None:
                        found.append(f"{disk.model}, after {count} of {len(self.operations)} operations: {sentence}")
        return found


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def record(shim: Path, tmp_path: Path) -> Callable[..., Recording]:
    def run(program: str, image: Image | None = None) -> Recording:
        folder, journal, promises = tmp_path / "state", tmp_path / "journal", tmp_path / "promises"
        write_folder(folder, image or {})
        journal.unlink(missing_ok=True)
        environment = {"LD_PRELOAD": str(shim), "CUTS_FOLDER": str(folder), "CUTS_JOURNAL": str(journal)}
        subprocess.run(
            [sys.executable, "-c", BEGIN + dedent(program), folder, journal, promises],
            check=True,
            env={**os.environ, **environment},
        )
        operations = read_journal(journal)
        ends = [0]
        for operation in operations:
            ends.append(ends[-1] + operation.size)
        said = [json.loads(line) for line in promises.read_text().splitlines()]
        recording = Recording(image or {}, operations, [(ends.index(what.pop("at")), what) for what in said])
        disk = Disk(image or {}, model="strict")
        disk.do(operations)
        assert disk.current() == read_folder(folder), "the journal has not told all"
        return recording

    return run


def of_the_ledger(folder: Path, promised: dict[str, str]) -> str | None:
    """What is wrong with a ledger that has promised to know facts, by their names, and to keep its key."""
    if (sentence := unreadable(folder / "ledger.db")) is not None:
        return sentence
    if "key" in promised and Digests(folder).digest("x").hex() != promised["key"]:
        return "the key is another"
    facts = {name for name in promised if name != "key"}
    if not facts:
        return None
    if not (folder / "ledger.db").exists():
        return "there is no ledger"
    with look_into(folder / "ledger.db") as db:
        try:
            known = {name for (name,) in db.execute("SELECT name FROM facts WHERE subject = 'test'")}
        except sqlite3.OperationalError as error:
            return str(error)
    return f"{', '.join(lost)} is lost" if (lost := sorted(facts - known)) else None


def once_promised(folder: Path, promised: dict[str, str]) -> str | None:
    """The same, where a ledger need not be readable before."""
    return of_the_ledger(folder, promised) if promised else None


FIRST_START = """
from zkbridge.ledger.ledger import Ledger
ledger = Ledger(folder)
ledger.facts.remember("test", "first", "1")
promise(first="1", key=ledger.digest("x").hex())
for number in range(3):
    ledger.facts.remember("test", f"second {number}", "")
    promise(**{f"second {number}": ""})
"""
STOP_AND_START = """
ledger.scrub()
ledger.close()
ledger = Ledger(folder)
ledger.facts.remember("test", "third", "3")
promise(third="3")
ledger.close()
"""
REBUILD = """
def rebuild(aside):
    (folder / "ledger.db").unlink()
    if aside:
        (folder / "ledger.db").write_bytes(b"something else")
    ledger.rebuild(aside=aside)
    promise(first="")
    ledger.facts.remember("test", "third", "")
    promise(third="")
"""


def test_a_first_start_and_what_follows_survive_a_cut_at_every_moment(
    record: Callable[..., Recording], tmp_path: Path
) -> None:
    recording = record(FIRST_START + STOP_AND_START)

    assert len(recording.operations) > 50
    assert recording.check(tmp_path / "left", of_the_ledger) == []


def test_old_pages_are_never_read_again_whatever_a_cut_leaves_of_a_log_that_is_being_emptied(
    record: Callable[..., Recording], tmp_path: Path
) -> None:
    """The head of the old log and its first commit may be left where the rest is gone (seen by `torture cuts`)."""
    recording = record(
        FIRST_START
        + """
ledger.scrub()
for number in range(40):
    ledger.facts.remember("test", f"third {number}", "x" * 100)
    promise(**{f"third {number}": ""})
ledger.retention.note_freed()
ledger.scrub()
"""
    )
    operations = recording.operations
    (log,) = {each.descriptor for each in operations if each.kind is Kind.OPEN and each.path == "ledger.db-wal"}
    emptied = [at for at, each in enumerate(operations, 1) if each.kind is Kind.SIZE and each.descriptor == log]

    def draws(count: int) -> int:
        return 1000 if count in emptied else 0

    assert len(emptied) == 2
    assert recording.check(tmp_path / "left", of_the_ledger, models=("ordered",), draws=draws) == []


@pytest.mark.parametrize("forgotten", ["ledger.db-wal", "ledger.key", FOLDER])
def test_a_sync_that_is_forgotten_is_found(record: Callable[..., Recording], tmp_path: Path, forgotten: str) -> None:
    assert record(FIRST_START).check(tmp_path / "left", of_the_ledger, ignored=[forgotten]) != []


def test_a_checkpoint_without_a_sync_of_the_file_is_found(record: Callable[..., Recording], tmp_path: Path) -> None:
    assert record(FIRST_START + STOP_AND_START).check(tmp_path / "left", of_the_ledger, ignored=["ledger.db"]) != []


@pytest.mark.parametrize("aside", [False, True])
def test_a_ledger_that_is_written_anew_survives_a_cut_once_that_is_done(
    record: Callable[..., Recording], tmp_path: Path, aside: bool
) -> None:
    # Whoever removes the file removes what was promised, until it is written anew: only what is said then counts.
    recording = record(FIRST_START.replace("promise(", "(lambda **_: None)(") + REBUILD + f"rebuild({aside})\n")

    assert recording.check(tmp_path / "left", once_promised) == []
    assert recording.check(tmp_path / "left", once_promised, ignored=[FOLDER]) != []


def test_a_damaged_ledger_is_kept_aside_and_a_new_one_begun_whatever_a_cut_leaves_of_that(
    record: Callable[..., Recording], tmp_path: Path
) -> None:
    old = record(FIRST_START + "ledger.facts.remember('test', 'long', 'x' * 9000)\n")
    disk = Disk({}, model="strict")
    disk.do(old.operations)
    image = dict(disk.keep())
    image["ledger.db"] = Stored(b"no database" * 100, 0o600)
    recording = record(FIRST_START, image)

    assert recording.check(tmp_path / "left", once_promised) == []


def test_what_is_set_aside_is_there_and_readable_after_a_cut_at_every_moment(
    record: Callable[..., Recording], tmp_path: Path
) -> None:
    recording = record("""
        from zkbridge.intake import set_aside
        set_aside.MOST_ENTRIES = 6
        kept = set_aside.SetAside(folder)
        for number in range(15):
            noted = kept.add("zk/d/ping", bytes([number]), "test")
            promise(digest=bytes([number]).hex(), error_id=noted.error_id)
    """)

    def wrong(folder: Path, promised: dict[str, str]) -> str | None:
        if not promised:
            return None
        noted = SetAside(folder).add("zk/d/ping", bytes.fromhex(promised["digest"]), "test")
        return None if noted.error_id == promised["error_id"] else "the last entry is lost"

    assert recording.check(tmp_path / "left", wrong) == []
    assert recording.check(tmp_path / "left", wrong, ignored=[FOLDER]) != []
    assert recording.check(tmp_path / "left", wrong, ignored=["set-aside.jsonl"]) != []
