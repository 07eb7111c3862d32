"""Publishes the bridge's health every half minute, and watches that the broker confirms it."""

from __future__ import annotations

from zkbridge.bridge.monitor import Monitor
from zkbridge.bridge.own_messages import OwnMessages
from zkbridge.contract.messages import Publication
from zkbridge.mqtt.client import Mqtt
from zkbridge.outbox.punches import Announcer
from zkbridge.runtime.scheduler import Upkeep

#: Seconds between signs of life.
PULSE_S = 30.0
#: After this many seconds without a confirmation a connection is given up.
SILENT_AFTER_S = 75.0


class Pulse:
    """Publishes the bridge's health again and again: its confirmation proves the connection in both directions."""

    def __init__(self, own: OwnMessages, monitor: Monitor, mqtt: Mqtt, announcer: Announcer, upkeep: Upkeep) -> None:
        self._own = own
        self._monitor = monitor
        self._mqtt = mqtt
        self._announcer = announcer
        self._upkeep = upkeep

    def start(self) -> None:
        """Begin, in half a minute."""
        self._upkeep.later("pulse", PULSE_S, self.beat)

    def health(self) -> Publication:
        """The health as it is now."""
        refused = [*self._mqtt.refused, *self._announcer.refused]
        return self._own.health(self._monitor.snapshot(), refused=refused)

    def beat(self) -> float:
        """Give up a connection that confirms nothing; publish the health. Returns the seconds until the next beat."""
        if self._mqtt.silent_for() > SILENT_AFTER_S:
            self._mqtt.reconnect()
        if self._mqtt.is_connected:
            self._mqtt.publish(None, self.health())
        return PULSE_S
