"""paho's client, which keeps the connection when it cannot read a PUBLISH."""

from __future__ import annotations

from collections.abc import Callable

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

from zkbridge.contract.messages import Message
from zkbridge.contract.publish_packets import Published, read_refused


class TolerantClient(paho.Client):
    """`on_reread` gets each message that paho refuses and that can be read all the same; the rest is dropped."""

    on_reread: Callable[[Message], None]

    def _handle_publish(self) -> MQTTErrorCode:
        """Override paho's own: it raises while it reads, before anything was done with the message."""
        try:
            return super()._handle_publish()
        except MalformedPacket as error:
            found = read_refused(self._in_packet, self._protocol, error)
        if isinstance(found, Published) and (message := _message(found)) is not None:
            self.on_reread(message)
        return self._send_puback(found.mid) if found.qos == 1 and found.mid else MQTTErrorCode.MQTT_ERR_SUCCESS


def _message(found: Published) -> Message | None:
    try:
        topic = found.topic.decode()
    except UnicodeDecodeError:
        return None  # some brokers let it pass; a guest subscribes to none such
    return Message(
        topic,
        found.payload,
        correlation_data=found.correlation_data,
        answers=dict(found.user_properties).get("command"),
    )
