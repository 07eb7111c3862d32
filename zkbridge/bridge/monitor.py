"""Reads the present state of the bridge."""

from __future__ import annotations

import logging
import time
from collections.abc import Container

import zkbridge
from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.following import Following
from zkbridge.bridge.latest_backups import LatestBackups
from zkbridge.bridge.link import Link
from zkbridge.bridge.workers import Roster
from zkbridge.intake.keeper import PATIENCE_S, Keeper
from zkbridge.ledger.documents import Documents
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.machine.limits import SHORTAGES
from zkbridge.mqtt.client import Mqtt
from zkbridge.telemetry.events import Event
from zkbridge.telemetry.snapshot import BridgeSnapshot, LedgerStats, Terminal
from zkbridge.worker.worker import Worker

log = logging.getLogger(__name__)


class Monitor:
    """Reads the parts' state, and changes nothing. Called from any thread.

    What is known of each device is in memory: neither its files nor the ledger are read for it again and again.
    """

    def __init__(
        self,
        current: CurrentConfig,
        roster: Roster,
        following: Following,
        *,
        mqtt: Mqtt,
        link: Link,
        ledger: Ledger,
        keeper: Keeper,
    ) -> None:
        self._current = current
        self._roster = roster
        self._following = following
        self._mqtt = mqtt
        self._link = link
        self._ledger = ledger
        self._documents = Documents(ledger.facts)
        self._keeper = keeper
        self._backups = LatestBackups(current)
        self._began = time.monotonic()

    def are_terminals_served(self) -> bool:
        """Whether requests are kept and no worker is overdue; if not, the log says why."""
        overdue = [worker.device.id for worker in self._roster if worker.overdue()]
        if overdue:
            log.error("overdue: %s", ", ".join(overdue))
        if not (keeps := self._keeper.is_well()):
            log.error("nothing could be kept for %g s", PATIENCE_S)
        return not overdue and keeps

    def status(self) -> str:
        """One line for people, as systemd shows it."""
        workers = self._roster.by_device
        waiting = sum(worker.waiting for worker in workers.values())
        link = f"connected by MQTT {self._link.protocol}" if self._mqtt.is_connected else "waiting for the broker"
        if unserved := self._mqtt.unserved_subscriptions:
            link += f", deaf to {', '.join(unserved)}"
        return f"{link}; {len(workers)} devices, {waiting} requests waiting"

    def snapshot(self) -> BridgeSnapshot:
        """The state of all parts as values."""
        return BridgeSnapshot(
            version=zkbridge.__version__,
            uptime_s=time.monotonic() - self._began,
            connected=self._mqtt.is_connected,
            reconnects=self._link.reconnects,
            unserved_subscriptions=tuple(self._mqtt.unserved_subscriptions),
            queue_limit=self._current.config.queue_limit,
            terminals=tuple(self._terminal(worker) for worker in self._roster),
            ledger=self._ledger_stats(),
            set_aside=self._keeper.set_aside,
            short_of=SHORTAGES.current(),
        )

    def hear(self, event: Event) -> None:
        """Take an event of the parts."""
        self._backups.hear(event)

    def device_ids(self) -> Container[str]:
        """The devices that are configured."""
        return self._current.config.devices

    def _terminal(self, worker: Worker) -> Terminal:
        known = self._following.of(worker.device.id)
        return Terminal(
            worker.device.id,
            waiting=worker.waiting,
            online=known.online,
            seen_at=known.seen_at,
            pending_enable=worker.pending_enable,
            overdue_dates=worker.dates.overdue,
            backup_at=self._backups.of(worker.device.id),
            moved_to=self._following.moved_to(worker.device.id),
            drift=self._documents.drift(worker.device.id) if self._current.config.desired.enabled else None,
        )

    def _ledger_stats(self) -> LedgerStats | None:
        try:
            return self._ledger.stats()
        except LedgerUnavailable:
            return None
