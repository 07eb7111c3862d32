"""Applies another configuration while the daemon runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from zkbridge.bridge.parts import Parts
from zkbridge.config.changes import Changes, compare
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Config
from zkbridge.worker.worker import Worker

log = logging.getLogger(__name__)

#: Seconds between looks whether the bridge ends, while a worker finishes what is in hand.
LEAVING_S = 0.2
#: Seconds that the broker may take to answer new subscriptions, and between looks whether it has.
SUBSCRIBING_S = 10.0
LOOK_S = 0.05


class Reload:
    """Adds, removes and replaces devices. One reload at a time: the caller sees to that.

    `ended` is set when the bridge is to end: then what is left of a reload is left to the next start.
    """

    def __init__(self, parts: Parts, ended: threading.Event) -> None:
        self._parts = parts
        self._ended = ended

    def carry_out(self, config: Config) -> Changes:
        """Apply a configuration; see `Bridge.reload`. Raises ConfigError, and then nothing has changed."""
        changes = compare(self._parts.current.config, config)
        if changes.need_restart:
            raise ConfigError(list(changes.need_restart))
        leaving = [self._parts.roster[device] for device in (*changes.removed, *changes.changed)]
        for worker in leaving:
            worker.stop()
        self._take_over(config, changes.added)
        if self._have_left(leaving):
            self._replace(changes)
        self._wait_for_subscriptions()
        return changes

    def _take_over(self, config: Config, added: Iterable[str]) -> None:
        """Use this configuration from now on; a device that leaves accepts no new request."""
        parts, current = self._parts, self._parts.current
        before = current.filters, current.echoed
        with parts.reception.paused():
            current.replace(config)
            parts.roster.add(parts.factory.make(added, ()))
            parts.reception.intake.reload(config, subscribed=current.reserved)
        parts.homeassistant.reload(config)
        if (current.filters, current.echoed) != before:
            parts.mqtt.listen_to(current.filters, echoed=current.echoed, state=current.state_filters)
        parts.mqtt.publish(None, parts.own.info())
        parts.probes.schedule(added)
        parts.desired.schedule(added)

    def _wait_for_subscriptions(self) -> None:
        """Wait for the new subscriptions' answer, so that new devices can be asked once the reload ends."""
        until = time.monotonic() + SUBSCRIBING_S
        while not self._parts.mqtt.is_subscribed and time.monotonic() < until:
            if self._ended.wait(LOOK_S):
                return

    def _have_left(self, leaving: Iterable[Worker]) -> bool:
        """Wait until the workers have finished what is in hand; False if the bridge ends before."""
        return all(self._has_left(worker) for worker in leaving)

    def _has_left(self, worker: Worker) -> bool:
        while not worker.join(LEAVING_S):
            if self._ended.is_set():
                return False
        return True

    def _replace(self, changes: Changes) -> None:
        """New workers for devices that changed, none for those that were removed; no request is forgotten."""
        parts = self._parts
        gone = (*changes.removed, *changes.changed)
        for device in changes.removed:
            if parts.roster[device].pending_enable:
                log.warning("device=%s is removed, but may still be disabled until it enables itself", device)
        with parts.reception.paused():
            left = [request for request in parts.ledger.unfinished() if request.device in gone]
            parts.roster.add(parts.factory.make(changes.changed, left), without=changes.removed)
            parts.recovery.resume(left)
            for device in changes.removed:
                for each in parts.ledger.waiting(device):
                    parts.recovery.give_up(each.request)
        parts.dispatch.note_answers()
        for device in changes.removed:
            parts.availability.forget(device)
        parts.probes.schedule(changes.changed)
