"""Has documents of desired users in files taken on, when they have changed."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.reception import Reception
from zkbridge.intake.document_files import FileWatch, file_of
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.runtime.scheduler import Upkeep

log = logging.getLogger(__name__)

#: Seconds between two looks at the directory.
LOOK_S = 2.0
#: Seconds until a document is tried again that could not be kept.
AGAIN_S = 5.0


class DesiredFiles:
    """Looks at `desired.directory`. One document of one device is read at a time, so that no other work waits long."""

    def __init__(self, current: CurrentConfig, reception: Reception, upkeep: Upkeep) -> None:
        self._current = current
        self._reception = reception
        self._upkeep = upkeep
        self._watch = FileWatch()
        self._pending: deque[tuple[str, Path]] = deque()

    def start(self) -> None:
        """Begin to look, where the configuration has a directory."""
        settings = self._current.config.desired
        if settings.enabled and settings.directory is not None:
            self._upkeep.later("desired files", 0.0, self.look)

    def look(self) -> float:
        """Take on one document that has changed; in how many seconds to go on."""
        if not self._pending:
            self._find()
        if not self._pending:
            return LOOK_S
        device, path = self._pending[0]
        try:
            self._reception.take_file(device, path)
        except LedgerUnavailable:
            return AGAIN_S
        self._pending.popleft()
        return 0.0

    def _find(self) -> None:
        config = self._current.config
        directory = config.desired.directory
        if directory is None:
            return
        for name, path in self._watch.changed(directory, [*config.devices, *config.groups]):
            log.info("the document of desired users %s has changed", path.name)
            for device in config.groups.get(name, [name]):
                if device == name or file_of(directory, device) is None:
                    self._pending.append((device, path))
