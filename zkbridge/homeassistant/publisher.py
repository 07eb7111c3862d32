"""Keep Home Assistant's messages retained at the broker, and clear those that no longer apply."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from zkbridge.config.models import Config
from zkbridge.contract.messages import Publication
from zkbridge.contract.topics import Topics
from zkbridge.homeassistant.discovery import Discovery
from zkbridge.homeassistant.ports import HomeAssistantPorts
from zkbridge.homeassistant.retained_topics import RetainedTopics
from zkbridge.homeassistant.status import STATUS, Statuses
from zkbridge.telemetry.events import DoorAnswered, DoorAsked, Event

#: A terminal's status is published at most so often: a burst of requests is one change (seconds).
PAUSE_S = 1.0
#: When Home Assistant has started, every bridge publishes anew, after a pause of this length, at random (seconds).
BIRTH_LEAST_S, BIRTH_MOST_S = 0.5, 3.0
_SUBJECT, _DOOR, _LOCKED = "homeassistant", "door", "locked"


def watched_topics(config: Config) -> list[str]:
    """The topics to subscribe to."""
    return [f"{config.homeassistant.prefix}/status"] if config.homeassistant.discovery else []


def own_filters(config: Config) -> list[str]:
    """Filters of the topics on which no caller may have the bridge publish."""
    return [f"{config.homeassistant.prefix}/#"] if config.homeassistant.discovery else []


class HomeAssistant:
    """The messages that are retained for Home Assistant; where discovery is off, those of earlier runs are cleared.

    `hear` takes events of the parts, `overheard` messages on `watched_topics`; `retained` is published on
    every connect.
    """

    def __init__(
        self, config: Config, ports: HomeAssistantPorts, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ports = ports
        self._on = config.homeassistant.discovery
        self._watched = watched_topics(config)
        self._topics = Topics(config.mqtt.base_topic)
        self._statuses = Statuses(ports, passed_s=clock)
        self._retained = RetainedTopics(ports, clock=clock)
        self._lock = threading.Lock()
        self._devices: frozenset[str] = frozenset()
        self._announcements: dict[str, Publication] = {}
        self._published: dict[str, bytes] = {}
        self._configure(config)

    def retained(self) -> list[Publication]:
        """Every announcement and status, and an empty message for each that no longer applies."""
        with self._lock:
            devices, announcements = self._devices, list(self._announcements.values())
        cleared = [Publication(topic, b"", retain=True) for topic in self._retained.clear()]
        return [*cleared, *announcements, *(self._status(device) for device in sorted(devices))]

    def reload(self, config: Config) -> None:
        """Other devices, or the same ones with other settings."""
        if self._on:
            self._configure(config)
            self._publish(self.retained())

    def hear(self, event: Event) -> None:
        """Learn from what happens; the change is published soon."""
        if event.device not in self._devices or not self._statuses.hear(event):
            return
        if isinstance(event, DoorAsked | DoorAnswered):
            # Who looks at a door does not wait for the pause, and a lock that opens for a second must be seen.
            self._ports.later((_DOOR, event.device), 0.0, partial(self._publish_status, event.device))
        else:
            self._ports.later((STATUS, event.device), PAUSE_S, partial(self._publish_status, event.device))

    def overheard(self, topic: str, payload: bytes) -> None:
        """Publish everything anew when Home Assistant has started: the broker may not keep retained messages."""
        if topic in self._watched and payload == b"online":
            pause_s = random.uniform(BIRTH_LEAST_S, BIRTH_MOST_S)  # noqa: S311 - only spreads the load
            self._ports.later((_SUBJECT, "birth"), pause_s, self._announce)

    def flush(self) -> None:
        """Publish at once what waits: the bridge ends."""
        for device in sorted(self._devices):
            self._publish_status(device)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _configure(self, config: Config) -> None:
        devices = frozenset(config.devices if self._on else ())
        discovery = Discovery(config, self._ports.buttons(), self._statuses.of)
        announcements = {each.topic: each for each in discovery.messages()} if self._on else {}
        with self._lock:
            self._devices, self._announcements, self._discovery = devices, announcements, discovery
            self._retained.use(frozenset([*announcements, *(self._topics.status(device) for device in devices)]))
            for device in devices:
                self._published.setdefault(device, self._statuses.of(device).body)

    def _announce(self) -> None:
        with self._lock:
            announcements = list(self._announcements.values())
        self._publish(announcements)

    def _status(self, device: str) -> Publication:
        return Publication(self._topics.status(device), self._statuses.of(device).body, retain=True)

    def _publish_status(self, device: str) -> None:
        """Publish a status if it has changed, and keep it: its terminal may not report it again for long."""
        left_s = self._statuses.lock_left_s(device)
        if left_s is not None:
            self._ports.later((_LOCKED, device), left_s, partial(self._publish_locked, device))
        publication = self._status(device)
        with self._lock:
            if device not in self._devices or self._published.get(device) == publication.payload:
                return
            self._published[device] = publication.payload
            # It describes the terminal, which may have reported that just now.
            announcement = self._discovery.message(device)
            is_new = self._announcements.get(announcement.topic) != announcement
            self._announcements[announcement.topic] = announcement
        self._ports.keep(device, STATUS, publication.payload.decode())
        self._publish([publication, announcement] if is_new else [publication])

    def _publish_locked(self, device: str) -> float | None:
        """The time of an opening may have passed; another one may have begun meanwhile."""
        left_s = self._statuses.lock_left_s(device)
        if left_s is None:
            self._publish_status(device)
        return left_s

    def _publish(self, publications: Iterable[Publication]) -> None:
        for publication in publications:
            self._ports.publish(publication)
