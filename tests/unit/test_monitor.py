"""What a snapshot of the bridge says of its devices, and that it reads neither disk nor ledger for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.full_disk import full
from zkbridge.bridge.bridge import Bridge
from zkbridge.bridge.nightly import backups_of
from zkbridge.commands.api.backups import BackupFailed, Backups
from zkbridge.config.models import Config
from zkbridge.ledger.database import Database
from zkbridge.ledger.documents import Documents, LastDocument
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.telemetry.events import Answered

NOON = 1_790_000_000.0


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    """One that is made and not started."""
    devices = {name: {"host": "192.0.2.1"} for name in "pqr"}
    settings = {"devices": devices, "groups": {"g": ["p", "q"]}, "desired": {"enabled": True}}
    bridge = Bridge(Config.model_validate({**settings, "state_dir": tmp_path / "state", "lock_dir": tmp_path / "lock"}))
    yield bridge
    bridge.stop()


def test_a_snapshot_reads_neither_disk_nor_ledger_for_each_device(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.snapshot()
    queries: list[str] = []
    read = Database.read

    def noted(database: Database, query: str, *values: object) -> Any:
        queries.append(query)
        return read(database, query, *values)

    def touched(*_: object) -> None:
        raise AssertionError("a folder of backups is read")

    monkeypatch.setattr(Database, "read", noted)
    monkeypatch.setattr(Backups, "files", touched)
    snapshot = bridge.snapshot()
    of_snapshot = list(queries)
    bridge.parts.ledger.stats()

    assert [each.device for each in snapshot.terminals] == ["p", "q", "r"]
    assert of_snapshot == queries[len(of_snapshot) :]  # of the ledger as a whole, and nothing else
    assert of_snapshot


def test_a_snapshot_tells_the_latest_backup_after_one_was_made_or_deleted(bridge: Bridge) -> None:
    backups, monitor = backups_of(bridge.parts.current.config, "p"), bridge.parts.monitor

    def made() -> dict[str, float | None]:
        return {each.device: each.backup_at for each in bridge.snapshot().terminals}

    told = [made()]
    names = [backups.write(b"1", NOON), backups.write(b"2", NOON + 1)]
    monitor.hear(Answered("p", "device/backup", "backed_up"))
    told.append(made())
    backups.delete(names[1])
    monitor.hear(Answered("p", "device/backups", "listed"))
    told.append(made())
    monitor.hear(Answered("p", "device/delete-backup", "backup_deleted"))
    monitor.hear(Answered("../p", "device/backup", "device_not_found"))
    monitor.hear(Answered("g", "device/backup", "backed_up"))
    told.append(made())

    assert [each["p"] for each in told] == [None, NOON + 1, NOON + 1, NOON]
    assert [set(each) for each in told] == [{"p", "q", "r"}] * 4
    assert set(monitor._backups._made) == {"p", "q", "r"}  # nothing is held, or read, of what is no device


def test_a_folder_that_cannot_be_read_is_looked_at_again(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BackupFailed(cause="Permission denied")

    backups_of(bridge.parts.current.config, "p").write(b"1", NOON)
    with monkeypatch.context() as patch:
        patch.setattr(Backups, "files", fail)
        unread = bridge.snapshot().terminals[0].backup_at

    assert unread is None
    assert bridge.snapshot().terminals[0].backup_at == NOON


def test_a_snapshot_tells_how_terminals_differ_from_their_documents(bridge: Bridge) -> None:
    documents = Documents(bridge.parts.ledger.facts)

    told = [bridge.snapshot().drift]
    documents.keep_drift("q", 3)
    told.append(bridge.snapshot().drift)
    documents.keep_last("q", LastDocument(1), b"{}")
    told.append(bridge.snapshot().drift)

    assert told == [{}, {"q": 3}, {}]


def test_what_is_held_in_memory_is_what_the_ledger_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)
    documents = Documents(ledger.facts)
    documents.keep_drift("p", 3)
    documents.keep_drift("q", 4)
    documents.keep_drift("q", None)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", full)
        with pytest.raises(LedgerUnavailable):
            documents.keep_drift("p", 5)
    before = [documents.drift(device) for device in "pq"]
    ledger.close()

    ledger = Ledger(tmp_path)
    after = [Documents(ledger.facts).drift(device) for device in "pq"]
    ledger.close()

    assert before == after == [3, None]
