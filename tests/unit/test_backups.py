"""The folder of a device's backups: whole files, in the order in which they were made."""

import stat
from pathlib import Path

import pytest

from zkbridge.commands.api.backups import BackupNotFound, Backups

NOON = 1_896_091_200.0


def test_backups_of_one_second_keep_their_order_and_the_latest_is_the_last(tmp_path: Path) -> None:
    backups = Backups(tmp_path / "p")

    names = [backups.write(str(number).encode(), NOON) for number in range(12)]
    later = backups.write(b"later", NOON + 1)

    assert [each.name for each in backups.files()] == [*names, later]
    assert len(set(names)) == 12
    assert backups.read(None) == (later, b"later")
    assert backups.read(names[3]) == (names[3], b"3")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "p").iterdir()} == {0o600}


def test_what_a_killed_run_has_left_and_other_files_are_no_backups(tmp_path: Path) -> None:
    backups = Backups(tmp_path)
    name = backups.write(b"1", NOON)
    (tmp_path / "notes.json").write_text("{}")
    backups.delete(name)
    (tmp_path / f".{name}.part").write_text("half")

    assert backups.files() == []
    with pytest.raises(BackupNotFound):
        backups.read(None)
    with pytest.raises(BackupNotFound):
        backups.delete(name)
    assert backups.write(b"2", NOON) == name
    assert backups.read(name) == (name, b"2")
