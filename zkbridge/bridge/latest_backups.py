"""When the latest backup of each device was made, without a look at its folder each time."""

from __future__ import annotations

import time
from contextlib import suppress

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.nightly import backups_of
from zkbridge.commands.api.backups import BackupFailed
from zkbridge.telemetry.events import Answered, Event

#: The commands after which it may be another one.
CHANGED_BY = frozenset({"device/backup", "device/delete-backup"})


class LatestBackups:
    """Reads a device's folder when it is first asked for, and after a command that changes it. For any thread."""

    def __init__(self, current: CurrentConfig) -> None:
        self._current = current
        self._made: dict[str, float | None] = {}  #: None where a device has no backup

    def of(self, device: str) -> float | None:
        """In seconds since 1970; None where there is none, or where it cannot be read."""
        if device not in self._made:
            self._read(device)
        return self._made.get(device)

    def hear(self, event: Event) -> None:
        """Look again where a backup was made or deleted."""
        if isinstance(event, Answered) and event.command in CHANGED_BY and event.device in self._current.config.devices:
            self._read(event.device)

    def _read(self, device: str) -> None:
        """What cannot be read is looked for again the next time."""
        self._made.pop(device, None)
        with suppress(BackupFailed):
            self._made[device] = backups_of(self._current.config, device).latest_at(time.time())
