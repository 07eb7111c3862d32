"""Applies a changed configuration file while the daemon runs, at SIGHUP."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from queue import SimpleQueue

from zkbridge.bridge.bridge import Bridge
from zkbridge.bridge.vetting import make_room, vet
from zkbridge.config import loader
from zkbridge.config.faults import ConfigError
from zkbridge.machine import limits
from zkbridge.runtime.systemd import Notifier

log = logging.getLogger(__name__)


class Reloader:
    """A thread that reads the file when asked to, and hands it to the bridge; a fault leaves everything as it was.

    A thread of its own: a device that is removed may take its time, and the watchdog must be notified meanwhile.
    """

    def __init__(self, path: Path, bridge: Bridge, notifier: Notifier) -> None:
        self._path = path
        self._bridge = bridge
        self._notifier = notifier
        self._asks: SimpleQueue[bool] = SimpleQueue()
        self._refused = False
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        """Be ready to be asked."""
        self._thread.start()

    def ask(self) -> None:
        """Reload soon."""
        self._asks.put(True)

    def stop(self) -> None:
        """Reload no more; the bridge must be about to end, so that a reload under way ends too."""
        self._asks.put(False)
        if self._thread.is_alive():
            self._thread.join()

    def status(self) -> str:
        """The bridge's status, and whether the file says something else than what it does."""
        refused = "; the configuration file was refused, see the log" if self._refused else ""
        return f"{self._bridge.status()}{refused}"

    def _run(self) -> None:
        try:
            while self._asks.get():
                self._notifier.reloading()
                self._refused = not self._reload()
                if not self._bridge.ended.is_set():
                    self._notifier.ready(self.status())
        except BaseException as error:  # the last line of a thread: the daemon must end
            log.critical("the reload died", exc_info=True)
            self._bridge.fail(error)

    def _reload(self) -> bool:
        try:
            config = vet(loader.load(self._path))
            make_room(config)
            changes = self._bridge.reload(config)
        except ConfigError as error:
            for fault in error.faults:
                log.error("%s refused: %s", self._path, fault)  # noqa: TRY400 - the sentence says it all
            log.error("going on with the configuration as it was")  # noqa: TRY400 - as above
            return False
        if lacking := limits.lacking(len(config.devices)):
            log.warning("%s", lacking)
        log.info("%s reloaded: %s", self._path, changes)
        return True
