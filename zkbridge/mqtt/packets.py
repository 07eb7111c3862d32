"""What paho leaves to its user: setting up a client, properties, Nagle's algorithm, bytes held by TLS."""

from __future__ import annotations

import socket
import ssl
from copy import copy
from functools import lru_cache
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Publication
from zkbridge.mqtt.diagnosis import tls_context
from zkbridge.mqtt.paho_client import TolerantClient
from zkbridge.mqtt.protocol_choice import CONNECT_TIMEOUT_S, ProtocolName


def make_client(settings: Settings, protocol: ProtocolName, will: Publication, *, retain: bool) -> TolerantClient:
    """Return a paho client for one connection, with its last will at QoS 1; `retain` if the will is to be retained.

    Raises OSError for a certificate file that cannot be used.
    """
    five = protocol == "5"
    client = TolerantClient(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        clean_session=None if five else False,
        manual_ack=True,
        reconnect_on_failure=False,
    )
    client.foreign_refusals = {}
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.max_inflight_messages_set(0)  # no limit of paho's: it cannot follow the broker's, see SendWindow
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls is not None:
        client.tls_set_context(tls_context(settings))
    client.will_set(will.topic, will.payload, qos=1, retain=retain, properties=will_properties(protocol))
    return client


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
    return Properties(packet_type)


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
