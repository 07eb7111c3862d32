"""What a broker does that a bridge must know, found out on the wire: one row of the table in docs/brokers.md."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.brokers.brokers import Broker
from tests.support.caller import Caller, Refused
from tests.support.waiting import wait_until

#: How long nothing must come before it counts as never (seconds); what does come takes milliseconds.
SILENCE_S = 1.0


@dataclass(frozen=True)
class Row:
    """The cells, in the order of the table's columns."""

    mqtt_5: str
    commands_wait: str
    over_a_restart: str
    redelivery: str
    retained_wildcard: str


def observe(broker: Broker) -> Row:
    """Find out everything; the broker is restarted once."""
    protocol = broker.protocols[0]
    without = "no, and says so" if protocol != "5" and _says_so(broker) else "no, hangs up"
    waits = _session(broker, protocol, "waits", lambda: None)
    restarts = _session(broker, protocol, "restarts", broker.restart)
    return Row(
        mqtt_5="yes" if protocol == "5" else without,
        commands_wait="yes" if waits else "no",
        over_a_restart="yes" if restarts else "no",
        redelivery=_redelivery(broker, protocol),
        retained_wildcard="yes" if _retained_by_wildcard(broker, protocol) else "no",
    )


def cells(row: Row) -> list[str]:
    """The row as the table has it."""
    return [getattr(row, field.name) for field in fields(row)]


def _says_so(broker: Broker) -> bool:
    """Whether a broker without MQTT 5 answers a client that has nothing else."""
    caller = Caller(broker.port, 5)
    try:
        caller.connect()
    except Refused:
        return True
    except AssertionError:  # no answer
        return False
    caller.close()
    raise AssertionError("it speaks MQTT 5 after all")


class Listener:
    """A client with a session, as raw as paho can be: nothing is acknowledged unless told."""

    def __init__(self, broker: Broker, protocol: str, name: str) -> None:
        five = protocol == "5"
        self.received: list[MQTTMessage] = []
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        self.connected = self.subscribed = False
        self.client.on_connect = lambda *_: setattr(self, "connected", True)
        self.client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self.client.on_message = lambda _client, _data, message: self.received.append(message)
        options: dict[str, Any] = {}
        if five:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            options = {"clean_start": False, "properties": properties}
        self.client.connect("127.0.0.1", broker.port, **options)
        self.turn_until(lambda: self.connected)

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, 1)
        self.turn_until(lambda: self.subscribed)

    def turn_until(self, condition: Callable[..., Any], timeout: float = 10.0) -> bool:
        """Work until the condition holds, or the time is over; whether it held."""
        deadline = time.monotonic() + timeout
        while not condition() and time.monotonic() < deadline:
            if self.client.loop(0.05) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        return condition()

    def vanish(self) -> None:
        """Without a goodbye and without an acknowledgement."""
        sock = self.client.socket()
        if sock is not None:
            sock.close()

    def leave(self) -> None:
        self.client.disconnect()
        self.turn_until(lambda: self.client.socket() is None, 1.0)


@contextmanager
def _listening(broker: Broker, protocol: str, name: str) -> Iterator[Listener]:
    listener = Listener(broker, protocol, name)
    listener.subscribe(f"{name}/command")
    try:
        yield listener
    finally:
        listener.leave()


def _publish(broker: Broker, topic: str, *, retain: bool = False) -> None:
    with Caller(broker.port, "3.1.1") as caller:
        caller.publish(topic, b"{}", retain=retain)


def _session(broker: Broker, protocol: str, name: str, meanwhile: Callable[..., None]) -> bool:
    """Whether a command that came while its listener was away reaches it afterwards."""
    with _listening(broker, protocol, name):
        pass
    _publish(broker, f"{name}/command")
    meanwhile()
    listener = Listener(broker, protocol, name)
    came = listener.turn_until(lambda: listener.received, SILENCE_S)
    for message in listener.received:
        listener.client.ack(message.mid, message.qos)
    listener.leave()
    return bool(came)


def _redelivery(broker: Broker, protocol: str) -> str:
    """How a command comes again whose acknowledgement was lost."""
    name = "again"
    first = Listener(broker, protocol, name)
    first.subscribe(f"{name}/command")
    # So that a broker that numbers each connection's messages anew gives another number the second time.
    _publish(broker, f"{name}/command")
    _publish(broker, f"{name}/command")
    assert first.turn_until(lambda: len(first.received) == 2)
    one, two = first.received
    first.client.ack(one.mid, one.qos)
    first.client.loop(0.05)
    first.vanish()

    second = Listener(broker, protocol, name)
    came = second.turn_until(lambda: second.received, SILENCE_S)
    second.leave()
    if not came:
        return "never"
    again = second.received[-1]
    duplicate = "DUP" if again.dup else "no DUP"
    return f"{duplicate}, {'same' if again.mid == two.mid else 'new'} packet id"


def _retained_by_wildcard(broker: Broker, protocol: str) -> bool:
    _publish(broker, "kept/state", retain=True)
    with Caller(broker.port, protocol) as exact:
        exact.subscribe("kept/state")
        exact.wait_for("kept/state")
    with Caller(broker.port, protocol) as caller:
        caller.subscribe("kept/#")
        try:
            wait_until(lambda: caller.messages, timeout=SILENCE_S)
        except AssertionError:
            return False
    return True
