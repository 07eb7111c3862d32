"""Messages from paho, and those that paho 2.2 cannot read: as paho's type, and as the bridge's own.

A broker brings a message that was not acknowledged again on the next connection, for ever.
"""

from __future__ import annotations

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from zkbridge.contract.messages import Message
from zkbridge.contract.publish_packets import Published, Unreadable


def message_of(raw: paho.MQTTMessage | Unreadable, *, connection: int, waited_s: float) -> Message | Unreadable:
    """What arrived, without paho's types; some brokers let a topic pass that is not UTF-8."""
    if isinstance(raw, Unreadable):
        return raw
    try:
        topic = raw.topic
    except UnicodeDecodeError:
        return Unreadable(raw.qos, raw.mid, "", bytes(raw.payload), "a topic that is not UTF-8")
    properties = raw.properties
    return Message(
        topic=topic,
        payload=bytes(raw.payload),
        qos=raw.qos,
        retain=raw.retain,
        dup=raw.dup,
        mid=raw.mid,
        connection=connection,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
        expires_in_s=getattr(properties, "MessageExpiryInterval", None),
        waited_s=waited_s,
    )


def as_paho(found: Published, *, five: bool) -> paho.MQTTMessage:
    """A PUBLISH that paho refuses, as paho's own type; `five`: it is one of MQTT 5, and has properties."""
    message = paho.MQTTMessage(found.mid, found.topic)
    message.qos, message.dup, message.retain, message.payload = found.qos, found.dup, found.retain, found.payload
    if five:
        message.properties = _properties(found)
    return message


def _properties(found: Published) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)
    if found.expires_in_s is not None:
        properties.MessageExpiryInterval = found.expires_in_s
    if found.correlation_data is not None:
        properties.CorrelationData = found.correlation_data
    if found.response_topic is not None:
        properties.ResponseTopic = found.response_topic
    return properties
