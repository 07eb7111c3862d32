"""A simulated broker: the bridge's session, redelivery, and connections that break; and paho's part on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from torture.simulated.machine import Waitable, here

#: Seconds for one packet to arrive; messages under way to the bridge at once.
LATENCY_S, WINDOW = 0.002, 20
#: The same for what the bridge may send.
RECEIVE_MAXIMUM = 10
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
    brought_again: set[int] = field(default_factory=set)  #: caller's messages that came again without DUP
    down_until: float = 0.0
    flags_dup: bool = True
    link: Link | None = None
    _filters: set[str] = field(default_factory=set)
    _again: dict[int, Stored] = field(default_factory=dict)
    _last: deque[Stored] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _mid: int = 0

    def publish(self, message: Stored) -> None:
        """A message for the bridge, from a caller or from itself."""
        if any(paho.topic_matches_sub(each, message.topic) for each in self._filters):
            self.queue.append(message)
            self.pump()

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


class Link(Waitable):
    """One connection, as the program sees it: what it uses of a paho client, and of its socket."""

    __slots__ = (
        "_inbox",
        "_mid",
        "_number",
        "broker",
        "foreign_refusals",
        "lost",
        "on_connect",
        "on_disconnect",
        "on_message",
        "on_publish",
        "on_socket_register_write",
        "on_subscribe",
        "on_unreadable",
    )

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self.broker = broker
        self.lost = False
        self.foreign_refusals: dict[int, str] = {}
        self.on_connect: Callable[..., object]
        self.on_disconnect: Callable[..., object]
        self.on_publish: Callable[..., object]
        self.on_subscribe: Callable[..., object]
        self.on_message: Callable[..., object]
        self.on_unreadable: Callable[..., object]
        self.on_socket_register_write: Callable[..., object]
        self._inbox: deque[tuple[Any, ...]] = deque()
        self._mid = 0
        self._number = -1

    # -- for the broker ------------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Whether something has come."""
        return bool(self._inbox)

    def push(self, *packet: Any) -> None:
        """Have a packet arrive."""
        if not self.lost:
            self._inbox.append(packet)
            here().wake(self)

    def lose(self) -> None:
        """The connection is gone: what has not arrived never will."""
        self._inbox.clear()
        self.push("lost")
        self.lost = True

    # -- for the program: paho.Client ----------------------------------------------------------------------------

    def connect(self, *_: object, **__: object) -> None:
        """As paho.Client.connect."""
        machine = here()
        machine.sleep(LATENCY_S)
        if machine.now < self.broker.down_until:
            raise ConnectionRefusedError
        self._number = machine.number(self)
        machine.after(LATENCY_S, lambda: self.broker.accept(self))

    def socket(self) -> Link | None:
        """As paho.Client.socket: it is its own."""
        return self if self._number >= 0 else None

    def fileno(self) -> int:
        """The number to poll."""
        return self._number

    def close(self) -> None:
        """The program closes it."""
        if self.broker.link is self:
            self.broker.link = None
        self.lost = True
        self._number = -1

    def want_write(self) -> bool:
        """As paho.Client.want_write: everything is handed to the system at once."""
        return False

    def loop_misc(self) -> None:
        """As paho.Client.loop_misc: keep alive is not simulated."""

    def loop_write(self) -> None:
        """As paho.Client.loop_write."""

    def loop_read(self) -> int:
        """As paho.Client.loop_read: one packet."""
        here().point("broker")
        if not self._inbox:
            return 0
        kind, *facts = self._inbox.popleft()
        if kind == "connack":
            flags = SimpleNamespace(session_present=facts[0])
            self.on_connect(self, None, flags, ReasonCode(PacketTypes.CONNACK, "Success"), _CONNACK)
        elif kind == "suback":
            granted = ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")
            self.on_subscribe(self, None, facts[0], [granted] * facts[1], None)
        elif kind == "puback":
            self.on_publish(self, None, facts[0], ReasonCode(PacketTypes.PUBACK, "Success"), None)
        elif kind == "publish":
            self.on_message(self, None, _message(*facts))
        else:
            self._number = -1
            flags = SimpleNamespace(is_disconnect_packet_from_server=False)
            self.on_disconnect(self, None, flags, ReasonCode(PacketTypes.DISCONNECT, "Unspecified error"), None)
            return 7
        return 0

    def subscribe(self, filters: list[tuple[str, object]]) -> tuple[int, int]:
        """As paho.Client.subscribe."""
        mid = self._next_mid()
        names = [name for name, _ in filters]
        here().after(LATENCY_S, lambda: self.broker.subscribe(self, mid, names))
        return 0, mid

    def unsubscribe(self, _filters: list[str]) -> None:
        """As paho.Client.unsubscribe: the simulated configuration does not change."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, properties: Any) -> SimpleNamespace:
        """As paho.Client.publish."""
        del qos, retain
        machine = here()
        machine.point("publish")
        mid = self._next_mid()
        heard = Heard(machine.now, topic, payload, getattr(properties, "CorrelationData", None))
        machine.after(LATENCY_S, lambda: self.broker.receive(self, mid, heard))
        return SimpleNamespace(mid=mid)

    def ack(self, mid: int, _qos: int) -> None:
        """As paho.Client.ack."""
        machine = here()
        machine.point("acknowledge")
        machine.after(LATENCY_S, lambda: self.broker.puback(self, mid))

    def disconnect(self) -> None:
        """As paho.Client.disconnect."""
        if self.broker.link is self:
            self.broker.link = None

    def _next_mid(self) -> int:
        self._mid = self._mid % 65_535 + 1
        return self._mid


def _connack() -> Properties:
    properties = Properties(PacketTypes.CONNACK)
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return properties


_CONNACK = _connack()


def _message(mid: int, stored: Stored, dup: bool) -> SimpleNamespace:
    properties = SimpleNamespace(CorrelationData=stored.correlation, ResponseTopic=None, MessageExpiryInterval=None)
    return SimpleNamespace(
        topic=stored.topic,
        payload=stored.payload,
        qos=1,
        retain=False,
        dup=dup,
        mid=mid,
        properties=properties,
    )
