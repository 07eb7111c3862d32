"""When the latest backup of each device was made, remembered so that its folder is not read each time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.nightly import backups_of
from zkbridge.commands.api.backups import BackupFailed
from zkbridge.telemetry.events import Answered, Event

#: The commands after which another backup may be the latest.
CHANGED_BY = frozenset({"device/backup", "device/delete-backup"})


class LatestBackups:
    """Reads a device's folder when it is first asked for, and after a command that changes it. For any thread."""

    def __init__(self, current: CurrentConfig) -> None:
        self._current = current
        self._made: dict[str, float | None] = {}  #: None where a device has no backup
        self._lock = threading.Lock()  #: a folder that was read earlier must not replace what was read later

    def of(self, device: str) -> float | None:
        """The time of the latest backup, in seconds since 1970; None if there is none, or the folder cannot be read."""
        if device not in self._made:
            self._read(device)
        return self._made.get(device)

    def hear(self, event: Event) -> None:
        """Read the folder again if a backup was made or deleted."""
        if isinstance(event, Answered) and event.command in CHANGED_BY and event.device in self._current.config.devices:
            self._read(event.device)

    def _read(self, device: str) -> None:
        """Read the folder; if it cannot be read, the next `of` tries again."""
        with self._lock, suppress(BackupFailed):
            self._made.pop(device, None)
            self._made[device] = backups_of(self._current.config, device).latest_at(time.time())
