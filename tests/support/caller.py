"""The other side of the broker: an MQTT caller that keeps all it receives."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Self

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTMessageInfo,
    topic_matches_sub,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support.waiting import patience

Protocol = int | str  # 5, "5" or "3.1.1"

SESSION_KEPT_S = 3600


class Refused(AssertionError):
    """The broker said no; *reason* is its MQTT reason code."""

    def __init__(self, what: str, reason: int) -> None:
        super().__init__(f"the broker refused {what}: reason {reason:#04x}")
        self.reason = reason


@dataclass(frozen=True)
class Message:
    """A message as it arrived; *properties* are paho's, None on MQTT 3.1.1."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    properties: Properties | None

    @property
    def json(self) -> Any:
        return json.loads(self.payload)

    @property
    def correlation_data(self) -> bytes | None:
        return self.property("CorrelationData")

    @property
    def response_topic(self) -> str | None:
        return self.property("ResponseTopic")

    @property
    def content_type(self) -> str | None:
        return self.property("ContentType")

    @property
    def payload_format(self) -> int | None:
        return self.property("PayloadFormatIndicator")

    @property
    def message_expiry(self) -> int | None:
        return self.property("MessageExpiryInterval")

    @property
    def user_properties(self) -> list[tuple[str, str]]:
        return list(self.property("UserProperty") or [])

    def property(self, name: str) -> Any:
        """Return an MQTT 5 property by paho's name for it, None if the message has none."""
        return getattr(self.properties, name, None)


class Caller:
    """A client of the broker on *port*, for one test.

    Subscriptions are made again when the connection was lost. *session* keeps the caller's session on the broker
    while it is away (it needs a *client_id* then). *will* is a topic and a payload, sent at QoS 1. One that does not
    *reconnect* sends nothing a second time by itself: paho does, where the broker has not confirmed it.
    """

    def __init__(
        self,
        port: int,
        protocol: Protocol = 5,
        *,
        host: str = "127.0.0.1",
        client_id: str = "",
        username: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
        session: bool = False,
        will: tuple[str, bytes] | None = None,
        keepalive_s: int = 60,
        reconnect: bool = True,
    ) -> None:
        self.port = port
        self.host = host
        self.mqtt5 = str(protocol) == "5"
        self.messages: list[Message] = []
        self.disconnections: list[int] = []
        self._session = session
        self._keepalive_s = keepalive_s
        self._reconnect = reconnect
        self._news = threading.Condition()
        self._filters: dict[str, SubscribeOptions | int] = {}
        self._taken: set[int] = set()
        self._connected: int | None = None
        self._acknowledged: dict[int, int] = {}
        self._granted: dict[int, Sequence[int]] = {}
        self._client = self._make_client(client_id, username, password, ca_file, will)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        return self._client.is_connected()

    def connect(self, *, timeout: float = 10) -> None:
        """Return when the broker has accepted us; raise Refused if it did not, OSError if it is not there."""
        options: dict[str, Any] = {}
        if self.mqtt5:
            properties = Properties(PacketTypes.CONNECT)
            if self._session:
                properties.SessionExpiryInterval = SESSION_KEPT_S
            options = {"clean_start": not self._session, "properties": properties}
        self._client.connect(self.host, self.port, self._keepalive_s, **options)
        self._client.loop_start()
        try:
            self._wait_for_connack(timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Say goodbye to the broker, and end the network thread."""
        self._client.disconnect()
        self._client.loop_stop()
        # paho leaves these two to its finalizer, before which the garbage collector may come upon the sockets.
        self._client._reset_sockets(sockpair_only=True)

    def drop(self) -> None:
        """Cut the connection without a goodbye, so that the broker sends the will; the caller connects again."""
        sock = self._client.socket()
        assert sock is not None, "there is no connection to cut"
        sock.shutdown(2)  # type: ignore[attr-defined]  # a real socket: no WebSocket here

    def subscribe(
        self,
        topic_filter: str,
        *,
        qos: int = 1,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        timeout: float = 10,
    ) -> None:
        """Return when the broker has granted the subscription; raise Refused if it did not."""
        options: SubscribeOptions | int = qos
        if self.mqtt5:
            options = SubscribeOptions(
                qos, noLocal=no_local, retainAsPublished=retain_as_published, retainHandling=retain_handling
            )
        self._filters[topic_filter] = options
        mid = self._subscribe(topic_filter, options)
        self._wait(lambda: mid in self._granted, timeout, f"SUBACK for {topic_filter}")
        for granted in self._granted[mid]:
            if granted >= 0x80:
                raise Refused(f"the subscription to {topic_filter}", granted)

    def publish(
        self, topic: str, payload: bytes | str | Mapping[str, Any] = b"", *, timeout: float = 10, **options: Any
    ) -> None:
        """Return when the broker has confirmed the message (at QoS 0: when it was sent); raise Refused if it did not.

        The options are those of `send`.
        """
        info = self.send(topic, payload, **options)
        self._wait(lambda: info.mid in self._acknowledged, timeout, f"PUBACK for {topic}")
        with self._news:
            reason = self._acknowledged.pop(info.mid)
        if reason >= 0x80:
            raise Refused(f"the message to {topic}", reason)

    def send(
        self,
        topic: str,
        payload: bytes | str | Mapping[str, Any] = b"",
        *,
        qos: int = 1,
        retain: bool = False,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        content_type: str | None = None,
        payload_format: int | None = None,
        message_expiry_s: int | None = None,
        user_properties: Sequence[tuple[str, str]] = (),
    ) -> MQTTMessageInfo:
        """Send a message and return at once; what is returned knows when the broker has confirmed it.

        A mapping is sent as JSON. Properties are for MQTT 5 only.
        """
        wanted = {
            "ResponseTopic": response_topic,
            "CorrelationData": correlation_data,
            "ContentType": content_type,
            "PayloadFormatIndicator": payload_format,
            "MessageExpiryInterval": message_expiry_s,
            "UserProperty": list(user_properties) or None,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        assert self.mqtt5 or not given, f"MQTT 3.1.1 has no {', '.join(given)}"
        properties = None
        if given:
            properties = Properties(PacketTypes.PUBLISH)
            for name, value in given.items():
                setattr(properties, name, value)
        data = json.dumps(payload, ensure_ascii=False) if isinstance(payload, Mapping) else payload
        return self._client.publish(topic, data, qos, retain, properties)

    def wait_for(
        self,
        topic: str = "#",
        where: Callable[[Message], Any] = lambda _: True,
        *,
        timeout: float = 10,
    ) -> Message:
        """Return the first message to *topic* (a filter) that satisfies *where* and that no call has returned before.

        What has arrived already counts. Raise AssertionError after *timeout* seconds.
        """
        found: list[int] = []

        def look() -> bool:
            found[:] = [
                number
                for number, message in enumerate(self.messages)
                if number not in self._taken and topic_matches_sub(topic, message.topic) and where(message)
            ][:1]
            return bool(found)

        self._wait(look, timeout, f"a message to {topic}")
        self._taken.update(found)
        return self.messages[found[0]]

    def _wait_for_connack(self, timeout: float) -> None:
        self._wait(lambda: self._connected is not None, timeout, "the broker's CONNACK")
        if self._connected:
            raise Refused("the connection", self._connected)

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        timeout = patience(timeout)
        deadline = monotonic() + timeout
        with self._news:
            if not self._news.wait_for(condition, deadline - monotonic()):
                topics = [message.topic for message in self.messages]
                raise AssertionError(f"waited {timeout:g} s in vain for {what}; received so far: {topics}")

    def _make_client(
        self,
        client_id: str,
        username: str | None,
        password: str | None,
        ca_file: Path | None,
        will: tuple[str, bytes] | None,
    ) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self.mqtt5 else not self._session,
            protocol=MQTTProtocolVersion.MQTTv5 if self.mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=self._reconnect,
        )
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.max_queued_messages_set(0)
        if username is not None:
            client.username_pw_set(username, password)
        if ca_file:
            client.tls_set_context(ssl.create_default_context(cafile=ca_file))
        if will:
            client.will_set(will[0], will[1], qos=1)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    def _subscribe(self, topic_filter: str, options: SubscribeOptions | int) -> int:
        if isinstance(options, SubscribeOptions):
            _, mid = self._client.subscribe(topic_filter, options=options)
        else:
            _, mid = self._client.subscribe(topic_filter, options)
        assert mid is not None, "there is no connection to subscribe on"
        return mid

    # Called by paho's thread.

    def _on_connect(self, _c: Client, _u: object, _f: ConnectFlags, reason: ReasonCode, _p: object) -> None:
        first = self._connected is None
        if not first and not reason.is_failure:
            for topic_filter, options in list(self._filters.items()):
                self._subscribe(topic_filter, options)
        with self._news:
            self._connected = reason.value
            self._news.notify_all()

    def _on_disconnect(self, _c: Client, _u: object, _f: DisconnectFlags, reason: ReasonCode, _p: object) -> None:
        with self._news:
            self.disconnections.append(reason.value)
            self._news.notify_all()

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        arrived = Message(
            topic=message.topic,
            payload=bytes(message.payload),
            qos=message.qos,
            retain=message.retain,
            duplicate=message.dup,
            properties=message.properties,
        )
        with self._news:
            self.messages.append(arrived)
            self._news.notify_all()

    def _on_publish(self, _c: Client, _u: object, mid: int, reason: ReasonCode, _p: object) -> None:
        with self._news:
            self._acknowledged[mid] = reason.value
            self._news.notify_all()

    def _on_subscribe(self, _c: Client, _u: object, mid: int, reasons: list[ReasonCode], _p: object) -> None:
        with self._news:
            self._granted[mid] = [reason.value for reason in reasons]
            self._news.notify_all()
