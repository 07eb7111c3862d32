"""The folder of a device's backups: whole files, in the order in which they were made."""

import errno
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pyrage
import pytest

from zkbridge.bridge.nightly import latest_backup
from zkbridge.commands.api.age import BackupEncrypted
from zkbridge.commands.api.backups import BackupDamaged, BackupFailed, BackupNotFound, Backups
from zkbridge.config.models import Backup, Config

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


@pytest.mark.parametrize("ending", [".json", ".json.age"])
def test_what_is_no_ordinary_file_is_no_backup_and_is_not_waited_for(tmp_path: Path, ending: str) -> None:
    backups = Backups(tmp_path)
    real = backups.write(b"1", NOON)
    odd = {kind: f"2030-01-01T00-00-0{number}Z" for number, kind in enumerate(("pipe", "folder", "gone", "loop"))}
    os.mkfifo(tmp_path / f"{odd['pipe']}{ending}")
    (tmp_path / f"{odd['folder']}{ending}").mkdir()
    (tmp_path / f"{odd['gone']}{ending}").symlink_to(tmp_path / "nothing")
    (tmp_path / f"{odd['loop']}{ending}").symlink_to(f"{odd['loop']}{ending}")

    assert [each.name for each in backups.files()] == [real]
    assert backups.latest_at(NOON) == NOON
    for name in odd.values():
        with pytest.raises(BackupNotFound):
            backups.read(name)
        with pytest.raises(BackupNotFound):
            backups.delete(name)
    assert backups.write(b"2", NOON + 1) != real


def test_a_folder_that_cannot_be_read_has_no_latest_backup_in_the_health(tmp_path: Path) -> None:
    (tmp_path / "backups").symlink_to(tmp_path / "backups")
    config = Config.model_validate({"state_dir": tmp_path, "devices": {"p": {"host": "127.0.0.1"}}})

    assert latest_backup(config, "p", NOON) is None
    with pytest.raises(BackupFailed, match="Too many levels of symbolic links"):
        Backups(tmp_path / "backups" / "p").files()


def test_a_backup_that_cannot_be_written_leaves_nothing_and_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    (tmp_path / ".2029-01-01T00-00-00Z.part").write_text("PIN of a run that was killed")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(BackupFailed, match="No space left on device"):
            Backups(tmp_path).write(b"PIN", NOON)

    assert list(tmp_path.iterdir()) == []
    name = Backups(tmp_path).write(b"PIN", NOON)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]


def test_a_folder_that_is_none_fails_by_name_and_has_no_backups(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "p").write_text("")
    backups = Backups(tmp_path / "backups" / "p")

    assert backups.files() == []
    with pytest.raises(BackupFailed, match="File exists"):
        backups.write(b"1", NOON)
    with pytest.raises(BackupFailed, match="Not a directory"):
        backups.read("2030-01-01T00-00-00Z")


def test_the_folders_are_readable_for_the_bridges_user_alone(tmp_path: Path) -> None:
    Backups(tmp_path / "backups" / "p").write(b"1", NOON)

    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "backups", tmp_path / "backups" / "p")] == [
        0o700,
        0o700,
    ]


@pytest.mark.parametrize(("keep", "left"), [(0, 5), (1, 1), (3, 3), (5, 5), (9, 5)])
def test_the_oldest_backups_go_first_once_there_are_more_than_keep(tmp_path: Path, keep: int, left: int) -> None:
    backups = Backups(tmp_path / "p", Backup(keep=keep))

    names = [backups.write(str(number).encode(), NOON + 60 * number) for number in range(5)]

    assert [each.name for each in backups.files()] == names[-left:]
    assert backups.read(None) == (names[-1], b"4")


def test_a_backup_that_a_wrong_clock_makes_the_oldest_is_not_deleted_for_itself(tmp_path: Path) -> None:
    later = [Backups(tmp_path).write(b"1", NOON + number) for number in range(3)]

    name = Backups(tmp_path, Backup(keep=2)).write(b"2", NOON - 86_400)

    assert [each.name for each in Backups(tmp_path).files()] == [name, later[-1]]


def test_no_backup_is_deleted_before_the_new_one_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Backups(tmp_path).write(b"old", NOON)
    synced: list[list[str]] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(sorted(path.name for path in tmp_path.iterdir()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    new = Backups(tmp_path, Backup(keep=1)).write(b"new", NOON + 1)

    assert synced[0] == [f".{new}.part", f"{old}.json"]
    assert synced[1:] == [[f"{old}.json", f"{new}.json"]] * 3
    assert [each.name for each in Backups(tmp_path).files()] == [new]


KEY, OTHER = (pyrage.x25519.Identity.generate() for _ in range(2))


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    """A file as age-keygen writes it."""
    path = folder / "backup.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def encrypted(folder: Path, identity_file: Path | None = None, *recipients: pyrage.x25519.Identity) -> Backups:
    """Backups that are encrypted to these, to KEY where none is named."""
    keys = tuple(str(each.to_public()) for each in recipients or (KEY,))
    return Backups(folder / "p", Backup(recipient=keys, identity_file=identity_file))


class LossyDisk:
    """Notes what is synced; of folders that were not synced since a name came, a power cut takes the name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._names: dict[int, set[str]] = {}
        self._files: set[int] = set()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._synced)

    def _synced(self, descriptor: int) -> None:
        self._fsync(descriptor)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = set(os.listdir(descriptor))
        else:
            self._files.add(status.st_ino)

    def left_of(self, folder: Path) -> set[str]:
        """The whole files that a power cut leaves below a folder, by their path."""
        found: set[str] = set()
        for path in folder.iterdir():
            if path.name not in self._names.get(folder.stat().st_ino, set()):
                continue
            if path.is_dir():
                found |= {f"{path.name}/{name}" for name in self.left_of(path)}
            elif path.stat().st_ino in self._files:
                found.add(path.name)
        return found


def test_the_first_backup_of_a_device_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = LossyDisk(monkeypatch)

    names = [Backups(tmp_path / "backups" / device).write(b"1", NOON) for device in ("p", "q")]

    assert disk.left_of(tmp_path) == {f"backups/{device}/{name}.json" for device, name in zip("pq", names, strict=True)}


def test_a_folder_that_a_killed_run_has_made_survives_with_the_first_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = LossyDisk(monkeypatch)
    (tmp_path / "backups" / "p").mkdir(parents=True)

    name = Backups(tmp_path / "backups" / "p").write(b"1", NOON)

    assert disk.left_of(tmp_path) == {f"backups/p/{name}.json"}


def test_an_encrypted_backup_is_read_with_any_recipients_identity_and_listed_as_encrypted(tmp_path: Path) -> None:
    clear = Backups(tmp_path / "p").write(b"clear", NOON)
    name = encrypted(tmp_path, None, OTHER, KEY).write(b"secret", NOON + 1)

    backups = encrypted(tmp_path, key_file(tmp_path, f"# public key: {KEY.to_public()}\n{KEY}\n"))
    assert [(each.name, each.encrypted) for each in backups.files()] == [(clear, False), (name, True)]
    assert backups.read(None) == (name, b"secret")
    assert backups.read(clear) == (clear, b"clear")


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (None, 0, ""),
        ("", 0o600, "no_identity"),
        ("# nothing\n", 0o600, "no_identity"),
        ("{public}", 0o600, "no_identity"),
        ("{key}", 0o644, "exposed"),
        ("{key}", 0o620, "exposed"),
        ("{other}", 0o600, "other"),
    ],
)
def test_without_an_identity_for_it_an_encrypted_backup_is_refused_with_the_reason(
    tmp_path: Path, text: str | None, mode: int, reason: str
) -> None:
    keys = {"key": KEY, "other": OTHER, "public": KEY.to_public()}
    path = None if text is None else key_file(tmp_path, text.format(**keys), mode)
    backups = encrypted(tmp_path, path)
    name = backups.write(b"secret", NOON)

    with pytest.raises(BackupEncrypted) as caught:
        backups.read(name)
    assert caught.value.reason == reason
    assert "AGE-SECRET" not in caught.value.sentence("en").replace("key AGE-SECRET-KEY-1", "")
    with pytest.raises(BackupEncrypted) as caught:
        encrypted(tmp_path, tmp_path / "gone").read(name)
    assert caught.value.reason == "absent"


def test_an_encrypted_backup_that_was_changed_is_damaged(tmp_path: Path) -> None:
    backups = encrypted(tmp_path, key_file(tmp_path, str(KEY)))
    name = backups.write(b"secret", NOON)
    path = tmp_path / "p" / f"{name}.json.age"
    whole = path.read_bytes()

    for content in (whole[:-1], whole[:40], b"", b'{"format": 1}', whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(content)
        with pytest.raises(BackupDamaged):
            backups.read(name)


def test_a_run_that_is_cut_off_before_the_name_has_nothing_in_clear_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        encrypted(tmp_path).write(b"the template", NOON)

    (left,) = (tmp_path / "p").iterdir()
    assert left.read_bytes().startswith(b"age-encryption.org/")
    assert b"the template" not in left.read_bytes()
    assert encrypted(tmp_path).files() == []


def test_the_program_age_reads_what_was_written_and_what_it_decrypts_beside_it_is_the_same_backup(
    tmp_path: Path,
) -> None:
    age = shutil.which("age")
    if age is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the program age is missing: apt install age")
    backups = encrypted(tmp_path)
    name = backups.write(b"secret" * 100_000, NOON)
    folder = tmp_path / "p"
    key = key_file(tmp_path, f"# created: 2030-01-31T08:00:00Z\n{KEY}\n")

    decrypt = [age, "-d", "-i", key, "-o", f"{name}.json", f"{name}.json.age"]
    subprocess.run(decrypt, check=True, cwd=folder, timeout=30)
    assert backups.read(name) == (name, b"secret" * 100_000)
    assert [(each.name, each.encrypted) for each in backups.files()] == [(name, False)]
    backups.delete(name)
    assert list(folder.iterdir()) == []

    theirs = subprocess.run([age, "-r", str(KEY.to_public())], input=b"theirs", stdout=-1, check=True, timeout=30)
    (folder / f"{name}.json.age").write_bytes(theirs.stdout)
    assert encrypted(tmp_path, key).read(name) == (name, b"theirs")


def test_an_identity_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    os.mkfifo(tmp_path / "key.txt", 0o600)
    backups = Backups(tmp_path / "p", Backup(recipient=(recipient,), identity_file=tmp_path / "key.txt"))
    backups.write(b"1", NOON)

    with pytest.raises(BackupEncrypted):
        backups.read(None)
