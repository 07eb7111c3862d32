"""What became of the ledger's files while they were in use, and whether everything can be written anew."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_budget import Site
from zkbridge.ledger.file_watch import FileWatch
from zkbridge.ledger.ledger import Ledger


class Watched(Site):
    """A site whose files are watched once it has something in them."""

    watch: FileWatch


@pytest.fixture
def site(tmp_path: Path) -> Watched:
    site = Watched(tmp_path / "state")
    site.do(3, sent=False)
    site.ledger.scrub()
    site.watch = FileWatch(site.ledger)
    return site


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for each in path.parent.glob("ledger.db*"):
        each.unlink()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"not ours")
    other.replace(path)


def remove_log(path: Path) -> None:
    path.with_name("ledger.db-wal").unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1024)


def overwrite(path: Path) -> None:
    shutil.copyfile(path.with_name("backup"), path)


def rubbish(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


def unlock(path: Path) -> None:
    path.with_name("ledger.lock").unlink()


def test_untouched_files_are_in_order_whatever_is_written(site: Watched) -> None:
    for _ in range(3):
        assert site.watch.look() is None
        site.do(20)
        site.ledger.facts.next_connection()
        assert site.watch.look() is None
        site.ledger.scrub()
    assert site.watch.look() is None
    site.ledger.close()


@pytest.mark.parametrize("harm", [remove, remove_all, replace, remove_log])
def test_what_was_removed_or_replaced_is_written_anew_with_everything(site: Watched, harm: Callable[..., Any]) -> None:
    site.do(2, finished=False)
    harm(site.ledger.path)

    loss = site.watch.look()
    assert loss is not None
    assert loss.can_be_healed
    assert str(site.ledger.path) in loss.what
    site.do(1, finished=False)  # meanwhile
    site.watch.heal()

    assert site.watch.look() is None
    assert site.ledger.path.stat().st_mode & 0o777 == 0o600
    assert [path.read_bytes() for path in site.ledger.path.parent.glob("ledger.db.replaced-*")] == (
        [b"not ours"] if harm is replace else []
    )
    site.do(1, finished=False)
    site.ledger.close()
    again = Ledger(site.ledger.path.parent)
    assert (len(again.unfinished()), len(again.replies.unsent(100))) == (4, 3)
    again.close()


@pytest.mark.parametrize("harm", [empty, cut, overwrite, rubbish, unlock])
def test_what_was_lost_in_the_file_itself_cannot_be_healed(site: Watched, harm: Callable[..., Any]) -> None:
    shutil.copyfile(site.ledger.path, site.ledger.path.with_name("backup"))
    site.do(3)
    site.ledger.scrub()
    assert site.watch.look() is None
    harm(site.ledger.path)

    loss = site.watch.look()

    assert loss is not None
    assert not loss.can_be_healed
    site.ledger.database._db.close()
    os.close(site.ledger.database._file._guard)
