"""Keep Home Assistant's messages retained at the broker, and remove those that no longer apply."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import NamedTuple

from zkbridge.config.models import Config
from zkbridge.contract.messages import Publication
from zkbridge.contract.topics import Topics
from zkbridge.homeassistant.discovery import Discovery
from zkbridge.homeassistant.status import Statuses
from zkbridge.telemetry.events import Event

log = logging.getLogger(__name__)

#: A terminal's status is said at most so often: a burst of requests is one change (seconds).
PAUSE_S = 1.0
#: After Home Assistant's birth everybody speaks; not all at once (seconds).
BIRTH_LEAST_S, BIRTH_MOST_S = 0.5, 3.0
#: How long after something was cleared, and how often, the broker is asked whether it has taken that (seconds).
TAKEN_S = 5.0
_SUBJECT, _TOPICS, _STATUS = "homeassistant", "topics", "status"


class Hooks(NamedTuple):
    """What is needed of the rest of the daemon; every one may be called from any thread, and raises nothing.

    `recall` and `remember` keep facts on disk, by subject and name. `publish` sends what there is a connection for;
    what is retained is said again on the next one anyway. `later` runs a job after some seconds, and again after as
    many as it returns; a key that waits is left alone. `taken` says whether the broker has all that was published.
    """

    recall: Callable[[str, str], str | None]
    remember: Callable[[str, str, str], None]
    publish: Callable[[Publication], None]
    later: Callable[[Hashable, float, Callable[[], float | None]], None]
    taken: Callable[[], bool]


def watched_topics(config: Config) -> list[str]:
    """The topics to subscribe to."""
    return [f"{config.homeassistant.prefix}/status"] if config.homeassistant.discovery else []


def own_filters(config: Config) -> list[str]:
    """Filters of the topics on which no caller may have the bridge publish."""
    return [f"{config.homeassistant.prefix}/#"] if config.homeassistant.discovery else []


class HomeAssistant:
    """What Home Assistant gets of one bridge: where discovery is off, that what once was said is taken away.

    `hear` takes what happens in the parts, `overheard` what comes on `watched_topics`; `retained` is said on
    every connect.
    """

    def __init__(self, config: Config, hooks: Hooks, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._hooks = hooks
        self._clock = clock
        self._on = config.homeassistant.discovery
        self._watched = watched_topics(config)
        self._topics = Topics(config.mqtt.base_topic)
        self._statuses = Statuses(lambda device: hooks.recall(device, _STATUS))
        self._lock = threading.Lock()
        self._devices: frozenset[str] = frozenset()
        self._announcements: list[Publication] = []
        self._told: dict[str, bytes] = {}
        #: Every topic on which something of ours may be retained, as the disk has it; and those that are to be cleared.
        self._known = frozenset((hooks.recall(_SUBJECT, _TOPICS) or "").split())
        self._gone: frozenset[str] = frozenset()
        self._cleared_at = self._clock()
        self._configure(config)

    def retained(self) -> list[Publication]:
        """Every announcement and status, and an empty message for each that is there no more."""
        with self._lock:
            gone, devices, announcements = self._gone, self._devices, self._announcements
            self._cleared_at = self._clock()
        if gone:
            self._hooks.later((_SUBJECT, "gone"), TAKEN_S, self._forget_gone)
        cleared = [Publication(topic, b"", retain=True) for topic in sorted(gone)]
        return [*cleared, *announcements, *(self._status(device) for device in sorted(devices))]

    def reload(self, config: Config) -> None:
        """Other devices, or the same ones with other settings."""
        if self._on:
            self._configure(config)
            self._say(self.retained())

    def hear(self, event: Event) -> None:
        """Learn from what happens; the change is said soon."""
        if event.device in self._devices and self._statuses.hear(event):
            self._hooks.later((_STATUS, event.device), PAUSE_S, partial(self._tell, event.device))

    def overheard(self, topic: str, payload: bytes) -> None:
        """Home Assistant has started, and a broker that does not keep what is retained has told it nothing."""
        if topic in self._watched and payload == b"online":
            pause_s = random.uniform(BIRTH_LEAST_S, BIRTH_MOST_S)  # noqa: S311 - only spreads the load
            self._hooks.later((_SUBJECT, "birth"), pause_s, self._announce)

    def flush(self) -> None:
        """Say at once what waits to be said: the bridge ends."""
        for device in sorted(self._devices):
            self._tell(device)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _configure(self, config: Config) -> None:
        """What is to stand at the broker is noted on disk before it is said: nobody else would ever take it away."""
        devices = frozenset(config.devices if self._on else ())
        announcements = Discovery(config).messages() if self._on else []
        wanted = {each.topic for each in announcements} | {self._topics.status(device) for device in devices}
        with self._lock:
            self._devices, self._announcements = devices, announcements
            self._gone = self._known - wanted
            self._keep(self._known | wanted)
            for device in devices:
                self._told.setdefault(device, self._statuses.of(device).body)

    def _keep(self, topics: frozenset[str]) -> None:
        if topics != self._known:
            self._known = topics
            self._hooks.remember(_SUBJECT, _TOPICS, " ".join(sorted(topics)))

    def _forget_gone(self) -> float | None:
        """What the broker has taken away need not be taken away again on every connect to come."""
        with self._lock:
            gone, wait_s = self._gone, self._cleared_at + TAKEN_S - self._clock()
        if not gone:
            return None
        if wait_s > 0:
            return wait_s
        if not self._hooks.taken():
            return TAKEN_S
        with self._lock:
            taken = gone & self._gone  # a device may have come back meanwhile
            self._gone -= taken
            self._keep(self._known - taken)
        log.info("Home Assistant was told of what is there no more")
        return None

    def _announce(self) -> None:
        self._say(self._announcements)

    def _status(self, device: str) -> Publication:
        return Publication(self._topics.status(device), self._statuses.of(device).body, retain=True)

    def _tell(self, device: str) -> None:
        """Say a status if it has changed, and keep it: its terminal may not say it again for long."""
        publication = self._status(device)
        with self._lock:
            if device not in self._devices or self._told.get(device) == publication.payload:
                return
            self._told[device] = publication.payload
        self._hooks.remember(device, _STATUS, publication.payload.decode())
        self._hooks.publish(publication)

    def _say(self, publications: Iterable[Publication]) -> None:
        for publication in publications:
            self._hooks.publish(publication)
