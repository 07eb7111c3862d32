"""The broker's limits, as its CONNACK announces them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from paho.mqtt.properties import Properties

from zkbridge.contract.messages import TOO_LARGE, Publication

#: The most messages under way at a broker that announces no Receive Maximum.
MAX_IN_FLIGHT = 20
#: AWS IoT Core closes the connection at more topic filters in one SUBSCRIBE, and no packet of it says so
#: (AWS IoT Core endpoints and quotas, "Subscriptions per subscribe request").
FILTERS_PER_PACKET = 8
#: A SUBSCRIBE packet less its filters, in bytes: type, remaining length, packet identifier and no properties.
_SUBSCRIBE_HEADER = 8


class BrokerLimits(NamedTuple):
    """The limits of one connection; MQTT 3.1.1 announces none of them.

    `keepalive_s` is how often the broker must hear from the bridge, `largest_packet` is in bytes (None: not said),
    `in_flight` counts messages at QoS 1, `session_expiry_s` is how long the broker keeps the session of a bridge that
    is away (None: not said).
    """

    keepalive_s: int
    largest_packet: int | None = None
    in_flight: int = MAX_IN_FLIGHT
    max_qos: int = 2
    retain: bool = True
    wildcards: bool = True
    session_expiry_s: int | None = None

    @classmethod
    def of(cls, connack: Properties | None, *, keepalive_s: int, session_expiry_s: int) -> BrokerLimits:
        """The limits that a CONNACK announces (MQTT 5 section 3.2.2.3), given what the bridge asked for.

        `connack` is None over MQTT 3.1.1. A Server Keep Alive of 0 switches the broker's own check off.
        """
        if connack is None:
            return cls(keepalive_s)
        return cls(
            keepalive_s=getattr(connack, "ServerKeepAlive", 0) or keepalive_s,
            largest_packet=getattr(connack, "MaximumPacketSize", None),
            in_flight=min(MAX_IN_FLIGHT, getattr(connack, "ReceiveMaximum", MAX_IN_FLIGHT)),
            max_qos=getattr(connack, "MaximumQoS", 2),
            retain=bool(getattr(connack, "RetainAvailable", 1)),
            wildcards=bool(getattr(connack, "WildcardSubscriptionAvailable", 1)),
            session_expiry_s=getattr(connack, "SessionExpiryInterval", session_expiry_s),
        )

    def packets(self, filters: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """Divide topic filters into packets that the broker accepts (SUBSCRIBE: MQTT 5 section 3.8)."""
        some: list[str] = []
        size = 0
        for each in filters:
            own = len(each.encode()) + 3  # its length, and its options
            if some and (len(some) == FILTERS_PER_PACKET or self._is_over(_SUBSCRIBE_HEADER + size + own)):
                yield tuple(some)
                some, size = [], 0
            some.append(each)
            size += own
        if some:
            yield tuple(some)

    def refusal(self, publication: Publication) -> str | None:
        """Why the broker would end the connection at this message; None if it accepts it."""
        if self._is_over(publication.packet_size):
            return f"{TOO_LARGE}: {publication.packet_size} bytes, it takes {self.largest_packet}"
        return None

    def shortcomings(self, *, session_expiry_s: int, filters: Iterable[str]) -> list[str]:
        """One sentence for the operator for each thing that the bridge asks for and the broker does not grant."""
        told = []
        if self.session_expiry_s is not None and self.session_expiry_s < session_expiry_s:
            told.append(
                f"the broker keeps commands for a bridge that is away for {self.session_expiry_s} s only "
                f"(the bridge asked for {session_expiry_s} s)"
            )
        if not self.retain:
            told.append(
                "the broker keeps no retained messages: state, availability and discovery reach only those who "
                "are subscribed when they are published"
            )
        if not self.wildcards and any("+" in each for each in filters):
            told.append("the broker takes no wildcard subscriptions: set mqtt.unknown_devices to ignore")
        return told

    def _is_over(self, size: int) -> bool:
        return self.largest_packet is not None and size > self.largest_packet
