"""A connection to a simulated broker, as the program sees it: what it uses of a paho client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from torture.simulated.broker import LATENCY_S, Broker, Heard, Stored
from torture.simulated.machine import Waitable, here

#: Messages that the bridge may have on the way at once.
RECEIVE_MAXIMUM = 10


class Link(Waitable):
    """One connection, as the program sees it: what it uses of a paho client, and of its socket."""

    __slots__ = (
        "_inbox",
        "_mid",
        "_number",
        "_protocol",
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

    def __init__(self, broker: Broker, protocol: str) -> None:
        super().__init__()
        self.broker = broker
        self._protocol = protocol
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
            self.on_connect(self, None, flags, ReasonCode(PacketTypes.CONNACK, "Success"), self._announced)
        elif kind == "suback":
            granted = ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")
            self.on_subscribe(self, None, facts[0], [granted] * facts[1], None)
        elif kind == "puback":
            self.on_publish(self, None, facts[0], ReasonCode(PacketTypes.PUBACK, "Success"), None)
        elif kind == "publish":
            self.on_message(self, None, _message(*facts, has_properties=self._protocol == "5"))
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

    @property
    def _announced(self) -> Properties | None:
        return _CONNACK if self._protocol == "5" else None

    def _next_mid(self) -> int:
        self._mid = self._mid % 65_535 + 1
        return self._mid


def _connack() -> Properties:
    properties = Properties(PacketTypes.CONNACK)
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return properties


_CONNACK = _connack()


def _message(mid: int, stored: Stored, dup: bool, *, has_properties: bool) -> SimpleNamespace:
    properties = SimpleNamespace(CorrelationData=stored.correlation, ResponseTopic=None, MessageExpiryInterval=None)
    return SimpleNamespace(
        topic=stored.topic,
        payload=stored.payload,
        qos=1,
        retain=False,
        dup=dup,
        mid=mid,
        properties=properties if has_properties else None,
    )
