"""A proxy before a real broker that brings messages again, as brokers do, where their sender wishes it."""

from __future__ import annotations

from typing import Literal, get_args

from tests.support.mqtt_packets import PUBLISH, packet, receive
from tests.support.strict_broker import Link, StrictBroker

#: `flag`: only the DUP flag, as if the first delivery had been lost; `again`: at once a second time, with the flag;
#: `later`: the second time after the next message.
Kind = Literal["flag", "again", "later"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: The user property by which the sender says so.
PROPERTY = "redelivery"
_DUP, _QOS = 0x08, 0x06


class RedeliveringBroker(StrictBroker):
    """What has the user property `redelivery` arrives as it says; at QoS 0 nothing does (MQTT 5, 3.3.1.1)."""

    def _downwards(self, link: Link) -> None:
        kept: list[bytes] = []
        while True:
            head, body = receive(link.broker)
            kind = _wished(body) if head >> 4 == PUBLISH and head & _QOS else None
            link.client.sendall(packet(head | (_DUP if kind == "flag" else 0), body))
            again, kept = kept, []
            if kind == "again":
                again.append(packet(head | _DUP, body))
            elif kind == "later":
                kept.append(packet(head | _DUP, body))
            for data in again:
                link.client.sendall(data)


def _wished(body: bytes) -> Kind | None:
    for kind in KINDS:
        if _property(PROPERTY) + _property(kind) in body:
            return kind
    return None


def _property(text: str) -> bytes:
    return len(text).to_bytes(2) + text.encode()
