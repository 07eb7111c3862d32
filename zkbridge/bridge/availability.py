"""Keeps which terminals answer, and publishes it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from zkbridge.contract.messages import Publication, encode
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import Topics
from zkbridge.mqtt.client import Mqtt
from zkbridge.worker.places import Places

log = logging.getLogger(__name__)

#: Why a device is offline after a clean stop, by the language of the configuration.
_STOPPED = {"es": "el puente se ha detenido", "en": "the bridge has stopped"}


class Reachability(NamedTuple):
    """Whether a terminal answers (None: not known), and when it last did, in seconds since 1970."""

    online: bool | None
    seen_at: float | None


class Availability:
    """Publishes, retained, for each device whether its terminal answers, when that changes. Called from any thread.

    `places` know the host at which a device's terminal was found where that is not the configured one.
    """

    def __init__(self, topics: Topics, mqtt: Mqtt, places: Places) -> None:
        self._topics = topics
        self._mqtt = mqtt
        self._places = places
        self._lock = threading.Lock()
        #: The retained message of each device; empty for a device that was removed.
        self._bodies: dict[str, bytes] = {}
        self._online: frozenset[str] = frozenset()
        self._seen: dict[str, float] = {}

    def note(self, device: str, reason: str | None, *, logged: str = "") -> None:
        """Publish that a device answers (None), or why it does not, if that has changed; `logged` is it in English."""
        body = self._online_body(device) if reason is None else encode({"state": "offline", "reason": reason})
        with self._lock:
            if reason is None:
                self._seen[device] = time.time()
                self._online |= {device}
            else:
                self._online -= {device}
            if self._bodies.get(device) == body:
                return
            self._bodies[device] = body
        log.log(
            logging.INFO if reason is None else logging.WARNING, "device=%s %s", device, logged or reason or "online"
        )
        self._mqtt.publish(None, self._publication(device, body))

    def forget(self, device: str) -> None:
        """Clear what the broker has retained for a device; again on every connect, for the broker may be away now."""
        with self._lock:
            self._bodies[device] = b""
            self._online -= {device}
        self._mqtt.publish(None, self._publication(device, b""))

    def publish_stopped(self, language: Language, is_probed: Callable[[str], bool]) -> None:
        """No device stays `online` at the broker; one that no probe would mark online again is cleared instead."""
        stopped = encode({"state": "offline", "reason": _STOPPED[language]})
        with self._lock:
            online, self._online = sorted(self._online), frozenset()
            self._bodies |= dict.fromkeys(online, stopped)
        for device in online:
            self._mqtt.publish(None, self._publication(device, stopped if is_probed(device) else b""))

    def retained(self) -> list[Publication]:
        """The retained message of every device's topic."""
        with self._lock:
            bodies = dict(self._bodies)
        return [self._publication(device, body) for device, body in bodies.items()]

    def of(self, device: str) -> Reachability:
        """What is known of a device's terminal."""
        with self._lock:
            body, seen, online = self._bodies.get(device), self._seen.get(device), device in self._online
        return Reachability(online if body else None, seen)

    def _online_body(self, device: str) -> bytes:
        address = self._places.moved_to(device)
        return encode({"state": "online"} | ({"address": address} if address is not None else {}))

    def _publication(self, device: str, body: bytes) -> Publication:
        return Publication(self._topics.availability(device), body, retain=True)
