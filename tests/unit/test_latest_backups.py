"""When the latest backup was made, for several threads at once."""

import threading
from typing import Any

import pytest

from zkbridge.bridge import latest_backups
from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.latest_backups import LatestBackups
from zkbridge.config.models import Config
from zkbridge.telemetry.events import Answered

CONFIG = Config.model_validate({"devices": {"p": {"host": "192.0.2.1"}}})
PATIENCE_S = 60


class SlowFolder:
    """A folder in which a backup is made while it is read for the first time."""

    def __init__(self) -> None:
        self.reading, self.go_on = threading.Event(), threading.Event()
        self._times = iter((1.0, 2.0))

    def latest_at(self, _now: float) -> float:
        found = next(self._times)
        if found == 1:
            self.reading.set()
            assert self.go_on.wait(PATIENCE_S)
        return found


def test_what_was_read_before_a_backup_does_not_replace_what_was_read_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = SlowFolder()
    monkeypatch.setattr(latest_backups, "backups_of", lambda *_: folder)
    latest = LatestBackups(CurrentConfig(CONFIG, {}, {}))
    work: tuple[tuple[Any, object], ...] = (
        (latest.of, "p"),
        (latest.hear, Answered("p", "device/backup", "backed_up")),
    )
    early, late = [threading.Thread(target=act, args=(subject,)) for act, subject in work]

    early.start()
    assert folder.reading.wait(PATIENCE_S)
    late.start()
    late.join(0.3)  # it may have to wait for the other
    folder.go_on.set()
    for thread in (early, late):
        thread.join(PATIENCE_S)

    assert latest.of("p") == 2
