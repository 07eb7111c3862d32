"""Tracks the bridge's own messages that the broker refuses, so that they do not end every connection."""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from zkbridge.contract.messages import Publication

log = logging.getLogger(__name__)

#: After this many connections that ended while it was under way, a message is sent alone, after all others.
SUSPECT_AFTER = 2
#: A message that ended a connection alone waits: this long at first (seconds), doubling each time up to the most.
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 86_400.0


class Turn(enum.Enum):
    """When a message may go."""

    NOW = "with the others"
    ALONE = "when nothing else is under way, and nothing else with it"
    LATER = "not now: it ends connections"


class _Guilty(NamedTuple):
    publication: Publication
    due: float


class RefusedTopics:
    """State, availability, discovery and health: what only the next connection sends again. For one thread.

    Answers and punches are not in it: they are kept on disk. `rights` is what the log ends a refusal with.
    """

    def __init__(self, *, rights: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._rights = rights
        self._clock = clock
        self._breaks: dict[str, int] = {}
        self._times_alone: dict[str, int] = {}
        self._guilty: dict[str, _Guilty] = {}
        self._refused: frozenset[str] = frozenset()
        self._told: set[str] = set()

    @property
    def topics(self) -> list[str]:
        """The topics on which the broker took no message when it last was offered one."""
        return sorted(self._refused)

    def begin(self) -> None:
        """Begin a new connection: its refusals are logged anew."""
        self._told.clear()

    def turn(self, publication: Publication) -> Turn:
        """When this may be sent. What must wait is kept, and handed out by `due`."""
        topic = publication.topic
        guilty = self._guilty.get(topic)
        if guilty is not None and self._clock() < guilty.due:
            if publication.packet_size >= guilty.publication.packet_size:
                self._guilty[topic] = guilty._replace(publication=publication)
                return Turn.LATER
            return Turn.ALONE
        return Turn.NOW if self._breaks.get(topic, 0) < SUSPECT_AFTER else Turn.ALONE

    def due(self) -> list[Publication]:
        """What has waited long enough, to be tried again alone."""
        now = self._clock()
        ready = [topic for topic, guilty in self._guilty.items() if guilty.due <= now]
        return [self._guilty.pop(topic).publication for topic in ready]

    def wait_s(self) -> float:
        """Seconds until there is something due; may be infinite."""
        return max(0.0, min((guilty.due for guilty in self._guilty.values()), default=float("inf")) - self._clock())

    def broke(self, publications: Iterable[Publication], *, alone: bool) -> None:
        """The broker ended a connection before it confirmed these; `alone` if one was sent alone."""
        for publication in publications:
            topic = publication.topic
            self._breaks[topic] = self._breaks.get(topic, 0) + 1
            if alone:
                self._blame(publication)

    def refused(self, topic: str, reason: str) -> None:
        """The broker answered no, or would."""
        self._refused |= {topic}
        if topic not in self._told:
            self._told.add(topic)
            log.error("the broker refuses what is published on %s (%s)", topic, reason)

    def taken(self, topic: str) -> None:
        """The broker confirmed a message."""
        self._breaks.pop(topic, None)
        self._times_alone.pop(topic, None)
        self._guilty.pop(topic, None)
        if topic in self._refused:
            self._refused -= {topic}
            self._told.discard(topic)
            log.info("the broker takes what is published on %s again", topic)

    def _blame(self, publication: Publication) -> None:
        topic = publication.topic
        times = self._times_alone[topic] = self._times_alone.get(topic, 0) + 1
        wait_s = min(FIRST_WAIT_S * 2 ** min(times - 1, 20), LONGEST_WAIT_S)
        self._guilty[topic] = _Guilty(publication, self._clock() + wait_s)
        self._refused |= {topic}
        log.error(
            "the broker ends the connection when %d bytes are published on %s (%s); "
            "the message is left out for %.0f s, and longer each time",
            publication.packet_size,
            topic,
            self._rights,
            wait_s,
        )
