"""The parts of packets and sockets that paho leaves to its user: properties, Nagle's algorithm, bytes held by TLS."""

from __future__ import annotations

import socket
import ssl
from copy import copy
from functools import lru_cache
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from zkbridge.contract.messages import Publication
from zkbridge.mqtt.dial import ProtocolName


def send_at_once(client: paho.Client) -> None:
    """A reply must not wait until the broker's kernel confirms what went before it, 40 ms later; paho leaves it so."""
    sock = client.socket()
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def holds_decrypted_bytes(sock: Any) -> bool:
    """Whether TLS holds bytes that poll cannot see."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def empty_properties(packet_type: int) -> Properties:
    """Return properties without a value for one type of packet (MQTT 5 section 2.2.2)."""
    return Properties(packet_type)  # type: ignore[no-untyped-call] # paho leaves this constructor untyped


def will_properties(protocol: ProtocolName) -> Properties | None:
    """Return what the last will says beside its payload; None over MQTT 3.1.1, which knows no properties."""
    if protocol != "5":
        return None
    properties = empty_properties(PacketTypes.WILLMESSAGE)
    properties.ContentType = "application/json"
    properties.PayloadFormatIndicator = 1
    return properties


def publish_properties(publication: Publication) -> Properties:
    """Return a reply's properties; paho builds its tables anew for each, so those that are alike are made once."""
    alike = _alike(publication.status, publication.code, publication.command)
    if publication.correlation_data is None:
        return alike
    properties = copy(alike)
    properties.CorrelationData = publication.correlation_data
    return properties


@lru_cache(maxsize=256)
def _alike(status: int | None, code: str | None, command: str | None) -> Properties:
    properties = empty_properties(PacketTypes.PUBLISH)
    properties.ContentType = "application/json"
    properties.PayloadFormatIndicator = 1
    if status is not None:
        told = [("status", str(status)), ("code", code or "")]
        properties.UserProperty = [*told, ("command", command)] if command else told
    return properties
