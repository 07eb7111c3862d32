"""The daemon as a whole: started, reloaded and stopped in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from zkbridge.bridge.errors import CannotStart
from zkbridge.bridge.reload import Reload
from zkbridge.bridge.wiring import wire
from zkbridge.config.changes import Changes
from zkbridge.config.models import Config
from zkbridge.ledger.errors import LedgerInUse, LedgerTooNew, LedgerUnavailable
from zkbridge.machine import memory
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.metrics.errors import MetricsUnavailable
from zkbridge.telemetry.snapshot import BridgeSnapshot

log = logging.getLogger(__name__)

#: Seconds for replies and punches to reach the broker when the bridge stops.
FAREWELL_S = 5.0
#: And for the offline state, whatever came before.
GOODBYE_S = 2.0


class Bridge:
    """The daemon: `start`, then wait on `ended`, then `stop`. `online` is set while it is connected and subscribed.

    Raises CannotStart when the state folder cannot be used. After a part died `failure` says which.
    """

    def __init__(self, config: Config, *, clock: Clock = SYSTEM) -> None:
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        #: One change of the parts at a time.
        self._changing = threading.Lock()
        with _refused_start():
            self.parts = wire(config, clock, self)
            self._left = self.parts.ledger.unfinished()
            self._waiting = self.parts.ledger.waiting()
            self.parts.roster.add(self.parts.factory.make(config.devices, self._left))
        self.online = self.parts.link.online
        self._reload = Reload(self.parts, self.ended)

    def start(self) -> None:
        """Resume what is unfinished, look after the terminals, and connect; returns at once.

        Raises CannotStart before anything has begun, when the figures cannot be served; `stop` is then all that is
        left to do.
        """
        parts = self.parts
        if parts.metrics is not None:
            with _refused_start():
                parts.metrics.start()
        parts.recovery.resume(self._left)
        parts.recovery.wait_on(self._waiting)
        parts.outbox.start()
        parts.announcer.start()
        parts.probes.schedule(parts.roster.by_device)
        parts.desired.schedule(parts.roster.by_device)
        parts.reception.start()
        parts.desired_files.start()
        parts.care.start()
        parts.pulse.start()
        parts.nightly.start()
        parts.upkeep.later("memory", memory.EVERY_S, memory.give_back)
        parts.upkeep.start()
        parts.mqtt.start()

    def reload(self, config: Config) -> Changes:
        """Apply devices that were added, removed or changed, and report what became of them.

        Returns when a device that was removed or changed has finished what was in hand, and the broker has answered
        the new subscriptions; what waits is answered `device_not_found`, or done with the new settings. Raises
        ConfigError if anything else differs, and then nothing has changed. A bridge that is told to end meanwhile
        leaves the rest to its next start.
        """
        with self._changing:
            return self._reload.carry_out(config)

    def fail(self, error: BaseException) -> None:
        """End the daemon because a part of it has failed."""
        self.failure = self.failure or error
        self.ended.set()

    def stop(self) -> None:
        """Finish what is in hand, send what is kept, say offline, and leave the rest on disk."""
        self.ended.set()
        with self._changing:
            self._stop_parts()

    def is_well(self) -> bool:
        """Whether every part works; only then is systemd's watchdog notified."""
        parts = self.parts
        served = parts.monitor.are_terminals_served()
        return served and self.failure is None and parts.upkeep.is_well() and parts.mqtt.is_moving()

    def status(self) -> str:
        """One line for people, as systemd shows it."""
        return self.parts.monitor.status()

    def snapshot(self) -> BridgeSnapshot:
        """The present state of everything."""
        return self.parts.monitor.snapshot()

    def _stop_parts(self) -> None:
        parts = self.parts
        parts.reception.intake.stop()
        parts.following.stop()
        for worker in parts.roster:
            worker.stop()
        parts.upkeep.stop()
        if parts.metrics is not None:
            parts.metrics.stop()
        patience = time.monotonic() + parts.current.config.retry.deadline
        for worker in parts.roster:
            if not worker.join(max(0.1, patience - time.monotonic())):
                log.warning("device=%s is still being talked to; the next start goes on", worker.device.id)
        parts.homeassistant.flush()
        self._say_goodbye(time.monotonic() + FAREWELL_S)
        parts.mqtt.stop(GOODBYE_S)
        parts.outbox.stop()
        parts.announcer.stop()
        parts.ledger.close()

    def _say_goodbye(self, until: float) -> None:
        """Send what is kept, and the offline states, within one time limit: the broker may not answer."""
        parts = self.parts
        if parts.mqtt.is_connected:
            parts.outbox.drain(max(0.0, until - time.monotonic()))
            parts.announcer.drain(max(0.0, until - time.monotonic()))
            parts.availability.publish_stopped(parts.current.config.language, self._is_probed)
            parts.mqtt.publish(None, parts.own.state("offline"))
            parts.mqtt.flush(max(GOODBYE_S, until - time.monotonic()))

    def _is_probed(self, device: str) -> bool:
        worker = self.parts.roster.by_device.get(device)
        return bool(self.parts.current.config.probe_interval) or (worker is not None and worker.listens)


@contextmanager
def _refused_start() -> Iterator[None]:
    """Raise CannotStart for errors of the ledger and the metrics' server."""
    try:
        yield
    except (LedgerInUse, LedgerTooNew, LedgerUnavailable) as error:
        raise CannotStart(f"the state directory cannot be used: {error}") from error
    except MetricsUnavailable as error:
        raise CannotStart(str(error)) from error
