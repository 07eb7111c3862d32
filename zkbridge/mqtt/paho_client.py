"""paho's client, which keeps the connection when it cannot read a packet."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from zkbridge.contract.messages import TOO_LARGE
from zkbridge.contract.publish_packets import Unreadable, read_refused
from zkbridge.mqtt.publish_packets import as_paho

_FAILURE = 0x80
#: Codes that brokers put into a PUBACK although MQTT 5 section 3.4.2.1 does not list them there: Mosquitto 2.0 answers
#: a payload over its `message_size_limit` with 0x95.
_WORDS = {0x95: TOO_LARGE, 0x9A: "Retain not supported", 0x9B: "QoS not supported"}


_OVERRIDDEN = ("_handle_publish", "_handle_on_message", "_handle_pubackcomp")
if missing := [name for name in _OVERRIDDEN if not hasattr(paho.Client, name)]:
    raise ImportError(f"this paho-mqtt has no {', '.join(missing)}")


class TolerantClient(paho.Client):
    """Acknowledges by hand. `on_unreadable` gets each PUBLISH that cannot be read; its receiver acknowledges it.

    `foreign_refusals` holds, by packet id, why a message was refused by a code that paho does not know.
    """

    foreign_refusals: dict[int, str]
    on_unreadable: Callable[[Unreadable], None]

    def _handle_publish(self) -> MQTTErrorCode:
        """Override paho's own: it raises while it reads, before anything was done with the message."""
        try:
            return super()._handle_publish()
        except MalformedPacket as error:
            found = read_refused(self._in_packet, self._protocol, error)
        if isinstance(found, Unreadable):
            self.on_unreadable(found)
        else:
            self._handle_on_message(as_paho(found, five=self._protocol == MQTTProtocolVersion.MQTTv5))
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        try:
            return super()._handle_pubackcomp(cmd)
        except MalformedPacket:
            packet = self._in_packet["packet"]
            if cmd != "PUBACK" or len(packet) < 3 or packet[2] < _FAILURE:
                raise
        mid, code = struct.unpack("!HB", packet[:3])
        with self._out_message_mutex:
            if mid not in self._out_messages:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            self.foreign_refusals[mid] = _WORDS.get(code, f"reason code {code:#04x}")
            failure = ReasonCode(PacketTypes.PUBACK, identifier=_FAILURE)
            # paho leaves the constructor of Properties untyped.
            return self._do_on_publish(mid, failure, Properties(PacketTypes.PUBACK))
