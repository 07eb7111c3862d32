"""A simulated broker: the bridge's session, redelivery, and connections that break."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import paho.mqtt.client as paho

from torture.simulated.machine import here

if TYPE_CHECKING:
    from torture.simulated.link import Link

#: Seconds for one packet to arrive; messages under way to the bridge at once.
LATENCY_S, WINDOW = 0.002, 20
#: So many messages that were acknowledged last may come again after the broker was killed.
REMEMBERED = 4


class Stored(NamedTuple):
    """A message that the broker holds for the bridge; `number` is that of a caller's message."""

    number: int | None
    topic: str
    payload: bytes
    correlation: bytes | None = None


class Heard(NamedTuple):
    """What the bridge published, as the broker's subscribers get it."""

    at: float
    topic: str
    payload: bytes
    correlation: bytes | None


@dataclass
class Broker:
    """The broker, with one session: the bridge's. Callers are subscribed to everything that it publishes."""

    tell: Callable[[str], None]
    heard: list[Heard] = field(default_factory=list)
    queue: deque[Stored] = field(default_factory=deque)
    under_way: dict[int, Stored] = field(default_factory=dict)
    delivered: dict[int, int] = field(default_factory=dict)  #: how often each caller's message reached the bridge
    acknowledged: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)  #: caller's messages that went with the session
    brought_again: set[int] = field(default_factory=set)  #: caller's messages that came again without DUP
    down_until: float = 0.0
    flags_dup: bool = True
    link: Link | None = None
    away: list[tuple[float, float]] = field(default_factory=list)  #: from when until when it had no connection
    _filters: set[str] = field(default_factory=set)
    _last: deque[Stored] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _mid: int = 0
    _away_since: float = 0.0

    def publish(self, message: Stored) -> None:
        """A message for the bridge, from a caller or from itself."""
        if any(paho.topic_matches_sub(each, message.topic) for each in self._filters):
            self.queue.append(message)
            self.pump()
        elif message.number is not None:
            self.lost.add(message.number)  # nobody is subscribed: the session is gone

    def forget_session(self) -> None:
        """The session is gone, with the subscriptions and with what was not acknowledged."""
        self.break_link()
        self.lost.update(each.number for each in (*self.queue, *self.under_way.values()) if each.number is not None)
        for each in (self.queue, self.under_way, self._filters, self._last):
            each.clear()

    def pump(self) -> None:
        """Send what waits, as far as the window allows."""
        link = self.link
        while link is not None and self.queue and len(self.under_way) < WINDOW:
            self._mid = self._mid % 65_535 + 1
            message = self.queue.popleft()
            self.under_way[self._mid] = message
            self._send(link, self._mid, message, dup=False)

    def break_link(self) -> None:
        """The connection breaks: what is under way either way is lost on it."""
        link, self.link = self.link, None
        if link is not None:
            self._away_since = here().now
            self.tell("the connection to the broker breaks")
            link.lose()

    def die(self, seconds: float, *, forgets: int) -> None:
        """The broker is killed, and is back after some seconds; it has not noted the last acknowledgements."""
        self.break_link()
        self.down_until = here().now + seconds
        again = [self._last.pop() for _ in range(min(forgets, len(self._last)))]
        self.queue.extendleft(again)
        self.brought_again.update(each.number for each in again if each.number is not None)

    def accept(self, link: Link) -> None:
        """CONNECT: resume the session, and bring again what was not acknowledged, in its order."""
        if here().now < self.down_until or link.lost:
            link.lose()
            return
        self.link = link
        self.away.append((self._away_since, here().now))
        link.push("connack", bool(self._filters))
        if self.flags_dup:
            for mid, message in self.under_way.items():
                self._send(link, mid, message, dup=True)
        else:
            self.brought_again.update(each.number for each in self.under_way.values() if each.number is not None)
            self.queue.extendleft(reversed(self.under_way.values()))
            self.under_way.clear()
        self.pump()

    def subscribe(self, link: Link, mid: int, filters: list[str]) -> None:
        """SUBSCRIBE."""
        self._filters.update(filters)
        if link is self.link:
            link.push("suback", mid, len(filters))

    def receive(self, link: Link, mid: int, heard: Heard) -> None:
        """PUBLISH of the bridge."""
        if link is not self.link:
            return
        self.heard.append(heard)
        link.push("puback", mid)
        self.publish(Stored(None, heard.topic, heard.payload))

    def puback(self, link: Link, mid: int) -> None:
        """PUBACK of the bridge."""
        if link is not self.link or mid not in self.under_way:
            return
        message = self.under_way.pop(mid)
        self._last.append(message)
        if message.number is not None:
            self.acknowledged.add(message.number)
        self.pump()

    def _send(self, link: Link, mid: int, message: Stored, *, dup: bool) -> None:
        if message.number is not None:
            self.delivered[message.number] = self.delivered.get(message.number, 0) + 1
            self.tell(f"message {message.number} goes to the bridge{' again, with DUP' if dup else ''}")
        here().after(LATENCY_S, lambda: link.push("publish", mid, message, dup))
