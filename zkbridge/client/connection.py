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
from zkbridge.config.login import LOGIN_PAGE, RIGHTS_PAGE, login_of, named, rights_of
from zkbridge.config.models import Mqtt
from zkbridge.contract.messages import Message
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics

ProtocolName = Literal["5", "3.1.1"]
#: Seconds for the broker to accept us, and to grant a subscription.
PATIENCE_S = 10.0
#: MQTT 5, 2.4: the version is not spoken; the broker took the message, and there is nobody to give it to.
_UNSUPPORTED_VERSION, _NOBODY = 0x84, 0x10


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
        self._unheard: dict[str, ReasonCode] = {}
        self._ends = 0

    def __enter__(self) -> Self:
        named = self.settings.protocol
        protocols: tuple[ProtocolName, ...] = ("5", "3.1.1") if named == "auto" else (named,)
        for protocol in protocols:
            self._problem = problem = self._connect(protocol)
            if problem is None:
                return self
            self._leave()  # which ends a connection without an answer, and so looks like a broker that hangs up
            if not self._too_new:
                break
        raise NoAnswer(f"the broker {self.settings.host}:{self.settings.port} {problem}")

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._leave()

    # -- what a subclass is told, in paho's thread -----------------------------------------------------------------

    def heard(self, message: Message) -> None:
        """A message came."""

    def taken(self, problem: str | None) -> None:
        """The broker accepted what was published; or the reason why no program will get it."""

    def linked(self, *, online: bool) -> None:
        """The connection broke, or came back."""

    # -- what a subclass does --------------------------------------------------------------------------------------

    def listen(self, topics: list[str], *, needed: list[str] | None = None) -> None:
        """Return once the broker has granted at least one of those `needed`, by default of all. Raises NoAnswer."""
        assert self._client is not None
        self._wanted, self._ends = topics, 0
        self._granted.clear()
        self._client.subscribe([(topic, 1) for topic in topics])
        if not self._granted.wait(PATIENCE_S):
            did = "ends the connection" if self._ends else "does not answer"
            raise NoAnswer(f"the broker {did} when we subscribe: {self._rights(topics)}")
        needed = topics if needed is None else needed
        if all(topic in self._unheard for topic in needed):
            reason = self._unheard[needed[0]]
            raise NoAnswer(f"the broker refuses the subscription ({reason}): {self._rights(needed)}")

    def trouble(self) -> str | None:
        """What the broker has refused or ended since `listen`, for a sentence about a missing answer; None: nothing."""
        if self._problem is not None:  # it refused us when we came back
            return f"the broker {self._problem}"
        topics = [self._published] if self._published else self._wanted
        if self._ends:
            times = "once" if self._ends == 1 else f"{self._ends} times"
            return f"the broker ended the connection {times} meanwhile: {self._rights(topics)}"
        if self._unheard:
            reason = next(iter(self._unheard.values()))
            return f"the broker refuses the subscription ({reason}): {self._rights(list(self._unheard))}"
        return None

    def question(self, answers: list[str], *, online: bool = False) -> str:
        """What to look for where no answer came and the broker has refused nothing."""
        first = "the bridge is online: is the terminal slow" if online else "is the bridge running"
        return f"{first}, and does the broker allow to read {named(answers)} ({rights_of(self.settings)})?"

    def publish(self, topic: str, payload: bytes, *, response_topic: str, correlation: bytes) -> None:
        """Hand a request to the broker at QoS 1; `taken` is called with the result. MQTT 3.1.1 has no properties."""
        assert self._client is not None
        properties = None
        if self.protocol == "5":
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic = response_topic
            properties.CorrelationData = correlation
        self._published = topic
        self._client.publish(topic, payload, qos=1, properties=properties)

    def publish_state(self, topic: str, payload: bytes) -> None:
        """Hand a retained message to the broker at QoS 1; `taken` is called with the result."""
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
            return f"cannot be reached: {getattr(error, 'strerror', None) or error} ({LOGIN_PAGE})"
        client.loop_start()
        if not self._accepted.wait(PATIENCE_S):
            return f"does not accept us: no answer to CONNECT ({login_of(self.settings)}; {LOGIN_PAGE})"
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
            self._problem = f"does not accept us: {reason} ({login_of(self.settings)}; {LOGIN_PAGE})"
        else:
            self._problem = None
            if self._wanted:  # the connection broke and came back
                client.subscribe([(topic, 1) for topic in self._wanted])
            self.linked(online=True)
        self._accepted.set()

    def _on_disconnect(self, *_: Any) -> None:
        if self._accepted.is_set():
            self._ends += 1
            self.linked(online=False)
        else:  # an old broker hangs up on a version that it does not know
            self._too_new = True
            self._problem = (
                f"does not accept us: it closes the connection without an answer to CONNECT ({login_of(self.settings)};"
                f" {LOGIN_PAGE})"
            )
            self._accepted.set()

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        answers = zip(self._wanted, reasons, strict=False)
        self._unheard = {topic: reason for topic, reason in answers if reason.is_failure}
        self._granted.set()

    def _problem_of(self, reason: ReasonCode) -> str | None:
        """Why no program gets the request, by the broker's answer; None if the broker accepted it."""
        if reason.is_failure:
            return f"the broker refuses the request ({reason}): {self._rights([self._published])}"
        if reason.value == _NOBODY:
            topic = shown(self._published, 200)
            return f"no program subscribes to {topic}: the bridge does not run, or has another broker or base topic"
        return None

    def _rights(self, topics: list[str]) -> str:
        """Who we are for the broker, the topics, and the page that helps."""
        return f"{login_of(self.settings)}, {named(topics)}; its access list decides, {RIGHTS_PAGE}"

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
