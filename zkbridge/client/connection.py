"""A client at the bridge's broker, with the bridge's address, login and TLS, by MQTT 5 or 3.1.1."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from zkbridge.client.tolerant_client import TolerantClient
from zkbridge.config.models import Mqtt
from zkbridge.contract.messages import Message
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics

ProtocolName = Literal["5", "3.1.1"]
#: Seconds for the broker to accept us, and to grant a subscription.
PATIENCE_S = 10.0
#: MQTT 5, 2.4: the version is not spoken; the broker took the message, and there is nobody to give it to.
_UNSUPPORTED_VERSION, _NOBODY = 0x84, 0x10
#: The pages that help where the broker refuses.
_LOGIN_PAGE, _RIGHTS_PAGE = "docs/client.md#where-the-bridge-is", "examples/mosquitto/README.md"


class NoAnswer(Exception):
    """The broker cannot be reached or refuses us, or no answer came in time."""


class Guest:
    """A client for a subclass to hear with, by MQTT 5 or, where the broker knows only that, 3.1.1; use it in a `with`.

    It shares address, login, TLS and base topic with the bridge, not the client id. When the connection breaks it
    comes back by itself, with its subscriptions. Raises NoAnswer when the broker does not accept it.
    """

    def __init__(self, settings: Mqtt) -> None:
        self.settings = settings
        self.topics = Topics(settings.base_topic)
        self.protocol: ProtocolName = "5"
        self._client: paho.Client | None = None
        self._wanted: list[str] = []
        self._accepted, self._granted = threading.Event(), threading.Event()
        self._problem: str | None = None
        self._too_new = False
        self._published = ""

    def __enter__(self) -> Self:
        named = self.settings.protocol
        protocols: tuple[ProtocolName, ...] = ("5", "3.1.1") if named == "auto" else (named,)
        for protocol in protocols:
            self._problem = self._connect(protocol)
            if self._problem is None:
                return self
            self._leave()
            if not self._too_new:
                break
        raise NoAnswer(f"the broker {self.settings.host}:{self.settings.port} {self._problem}")

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._leave()

    # -- what a subclass is told, in paho's thread -----------------------------------------------------------------

    def heard(self, message: Message) -> None:
        """A message came."""

    def taken(self, problem: str | None) -> None:
        """The broker took what was published; or the reason why nobody will get it."""

    def linked(self, *, online: bool) -> None:
        """The connection broke, or came back."""

    # -- what a subclass does --------------------------------------------------------------------------------------

    def listen(self, topics: list[str]) -> None:
        """Return once the broker has granted at least one of them. Raises NoAnswer."""
        assert self._client is not None
        self._wanted = topics
        self._granted.clear()
        self._client.subscribe([(topic, 1) for topic in topics])
        if not self._granted.wait(PATIENCE_S):
            raise NoAnswer("the broker does not answer")
        if self._problem:
            raise NoAnswer(self._problem)

    def publish(self, topic: str, payload: bytes, *, response_topic: str, correlation: bytes) -> None:
        """Hand a request to the broker at QoS 1; `taken` tells what became of it. MQTT 3.1.1 has no properties."""
        assert self._client is not None
        properties = None
        if self.protocol == "5":
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic = response_topic
            properties.CorrelationData = correlation
        self._published = topic
        self._client.publish(topic, payload, qos=1, properties=properties)

    def publish_state(self, topic: str, payload: bytes) -> None:
        """Hand a retained message to the broker at QoS 1; `taken` tells what became of it."""
        assert self._client is not None
        self._published = topic
        self._client.publish(topic, payload, qos=1, retain=True)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _connect(self, protocol: ProtocolName) -> str | None:
        """Why the broker did not accept the connection; None if it did."""
        self.protocol, self._too_new = protocol, False
        self._accepted.clear()
        try:
            self._client = client = self._make(protocol)
            client.connect(self.settings.host, self.settings.port)
        except (OSError, ValueError) as error:
            return f"cannot be reached: {getattr(error, 'strerror', None) or error}"
        client.loop_start()
        if not self._accepted.wait(PATIENCE_S):
            return "does not accept us: no answer"
        return self._problem

    def _make(self, protocol: ProtocolName) -> paho.Client:
        self._problem = None
        version = MQTTProtocolVersion.MQTTv5 if protocol == "5" else MQTTProtocolVersion.MQTTv311
        client = TolerantClient(CallbackAPIVersion.VERSION2, protocol=version)
        if self.settings.username is not None:
            client.username_pw_set(self.settings.username, self.settings.password)
        if tls := self.settings.tls:
            client.tls_set(_path(tls.ca_file), _path(tls.cert_file), _path(tls.key_file))
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = lambda _client, _data, _mid, reason, _properties: self.taken(self._problem_of(reason))
        client.on_message = self._on_message
        client.on_reread = self.heard
        return client

    def _leave(self) -> None:
        # Let go of it: paho closes what is left when the last reference goes, and it refers to us.
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._too_new = reason.value == _UNSUPPORTED_VERSION or str(reason) == "Unsupported protocol version"
            self._problem = f"does not accept us: {reason} ({self._who()}; {_LOGIN_PAGE})"
        else:
            if self._wanted:  # the connection broke and came back
                client.subscribe([(topic, 1) for topic in self._wanted])
            self.linked(online=True)
        self._accepted.set()

    def _on_disconnect(self, *_: Any) -> None:
        if self._accepted.is_set():
            self.linked(online=False)
        else:  # an old broker hangs up on a version that it does not know
            self._too_new, self._problem = True, "does not accept us: it hangs up"
            self._accepted.set()

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if all(reason.is_failure for reason in reasons):
            self._problem = (
                f"the broker does not let us listen ({reasons[0]}): {self._who()}, {', '.join(self._wanted)};"
                f" its access list decides, {_RIGHTS_PAGE}"
            )
        self._granted.set()

    def _problem_of(self, reason: ReasonCode) -> str | None:
        """Why nobody will get a request, by the broker's answer; None if the broker accepted it."""
        if reason.is_failure:
            return (
                f"the broker does not take the request ({reason}): {self._who()}, {shown(self._published, 200)};"
                f" its access list decides, {_RIGHTS_PAGE}"
            )
        if reason.value == _NOBODY:
            return "nobody listens there; is the bridge running, on this broker and base topic?"
        return None

    def _who(self) -> str:
        username = self.settings.username
        return "without a user name" if username is None else f"user {shown(username)!r}"

    def _on_message(self, _client: paho.Client, _data: Any, raw: paho.MQTTMessage) -> None:
        try:
            topic = raw.topic
        except UnicodeDecodeError:
            return  # some brokers let it pass; it is none of ours, and paho's thread would die of it
        correlation = getattr(raw.properties, "CorrelationData", None)
        answers = dict(getattr(raw.properties, "UserProperty", ())).get("command")
        self.heard(Message(topic, bytes(raw.payload), correlation_data=correlation, answers=answers))


def _send_at_once(_client: paho.Client, _data: Any, sock: Any) -> None:
    """Without it the kernel holds a small packet back until the one before it is acknowledged: up to 40 ms each."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)
