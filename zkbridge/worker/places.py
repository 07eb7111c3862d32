"""At which address the terminal of each device is, kept in the ledger where it is another than the configured one."""

from __future__ import annotations

import json
import threading
from typing import Protocol

from zkbridge.config.models import Device
from zkbridge.terminal.whereabouts import Whereabouts

_NAME = "address"


class FactStore(Protocol):
    """Where facts about devices are kept (`ledger.facts.Facts`)."""

    def recall(self, subject: str, name: str, /) -> str | None:
        """A remembered fact. Raises LedgerUnavailable."""

    def keep(self, subject: str, name: str, value: str, /) -> None:
        """Keep a fact, if the disk takes it."""


class Places:
    """The whereabouts of each device. Without `facts` nothing outlives the process. Called from any thread.

    What was kept counts as long as `host` and `serial` are configured as they were then, and `find` is set.
    """

    def __init__(self, facts: FactStore | None = None) -> None:
        self._facts = facts
        self._lock = threading.Lock()
        self._known: dict[str, Whereabouts] = {}

    def of(self, device: Device) -> Whereabouts:
        """The one of this device, shared by all who ask until its configuration changes. Raises LedgerUnavailable."""
        with self._lock:
            known = self._known.get(device.id)
            if known is None or known.configured != device:
                known = self._known[device.id] = Whereabouts(device, self._recall(device))
            return known

    def moved_to(self, device: str) -> str | None:
        """The host at which a device's terminal was found, None where it is the configured one or nothing is known."""
        known = self._known.get(device)
        return None if known is None else known.moved_to

    def follow(self, where: Whereabouts, host: str) -> None:
        """Talk to the terminal at this host from now on; after a restart too, if the disk takes it."""
        where.follow(host)
        if self._facts is None:
            return
        device = where.configured
        self._facts.keep(device.id, _NAME, json.dumps([device.host, device.serial, host]))

    def _recall(self, device: Device) -> str | None:
        if self._facts is None or device.find is None:
            return None
        kept = self._facts.recall(device.id, _NAME)
        if kept is None:
            return None
        configured, serial, found = json.loads(kept)
        return str(found) if (configured, serial) == (device.host, device.serial) else None
