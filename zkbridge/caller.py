"""The other side of the bridge: ask over MQTT, and wait for the one answer."""

from __future__ import annotations

import json
import queue
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from zkbridge.config import Mqtt
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import encode, parse_object
from zkbridge.contract.topics import Topics

ProtocolName = Literal["5", "3.1.1"]
#: Seconds for the broker to accept us, and to grant a subscription.
PATIENCE_S = 10.0
#: MQTT 5, 3.4.2.1: the broker took the message, and there is nobody to give it to.
_NOBODY = 0x10
_UNSUPPORTED_VERSION = 0x84


class NoAnswer(Exception):
    """The broker cannot be reached or refuses us, or no answer came in time."""


class Caller:
    """A client of the bridge's broker, by MQTT 5 or, where the broker knows only that, 3.1.1; use it in a `with`.

    It shares address, login, TLS and base topic with the bridge, not the client id.
    Raises NoAnswer when the broker does not accept it.
    """

    def __init__(self, settings: Mqtt) -> None:
        self._settings = settings
        self._topics = Topics(settings.base_topic)
        self._inbox = f"{settings.base_topic}/replies/{secrets.token_hex(8)}"
        self._client: paho.Client | None = None
        self._protocol: ProtocolName = "5"
        self._wanted: list[str] = []
        self._news: queue.Queue[paho.MQTTMessage | NoAnswer] = queue.Queue()
        self._accepted, self._granted = threading.Event(), threading.Event()
        self._problem: str | None = None
        self._too_new = False
        self._bridge_offline = False

    def __enter__(self) -> Self:
        named = self._settings.protocol
        protocols: tuple[ProtocolName, ...] = ("5", "3.1.1") if named == "auto" else (named,)
        for protocol in protocols:
            self._problem = self._connect(protocol)
            if self._problem is None:
                return self
            self._leave()
            if not self._too_new:
                break
        raise NoAnswer(f"the broker {self._settings.host}:{self._settings.port} {self._problem}")

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._leave()

    def ask(self, device: str, command: str, body: dict[str, Any], *, timeout: float = 90) -> dict[str, Any]:
        """Publish a request and return its answer; a `request_id` is made up if the body has none. Raises NoAnswer."""
        deadline = time.monotonic() + timeout
        token = secrets.token_bytes(8)
        body = {"request_id": f"call-{token.hex()}"} | body
        self._listen([self._topics.reply(device, command), *([self._inbox] if self._protocol == "5" else [])])
        self._publish(self._topics.command(device, command), encode(body), token)
        while True:
            answer = self._next(deadline, timeout)
            if self._is_ours(answer, token, body["request_id"]):
                content: dict[str, Any] = json.loads(answer.payload)
                return content

    # -- inside ----------------------------------------------------------------------------------------------------

    def _connect(self, protocol: ProtocolName) -> str | None:
        """What is wrong, None if the broker has accepted us."""
        self._protocol, self._too_new = protocol, False
        self._accepted.clear()
        try:
            self._client = client = self._make(protocol)
            client.connect(self._settings.host, self._settings.port)
        except (OSError, ValueError) as error:
            return f"cannot be reached: {getattr(error, 'strerror', None) or error}"
        client.loop_start()
        if not self._accepted.wait(PATIENCE_S):
            return "does not accept us: no answer"
        return self._problem

    def _make(self, protocol: ProtocolName) -> paho.Client:
        self._problem = None
        version = MQTTProtocolVersion.MQTTv5 if protocol == "5" else MQTTProtocolVersion.MQTTv311
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        if tls := self._settings.tls:
            client.tls_set(_path(tls.ca_file), _path(tls.cert_file), _path(tls.key_file))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _leave(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()

    def _listen(self, topics: list[str]) -> None:
        """Return once the broker has granted at least one of them."""
        assert self._client is not None
        self._wanted = topics
        self._granted.clear()
        self._client.subscribe([(topic, 1) for topic in (*topics, self._topics.state)])
        if not self._granted.wait(PATIENCE_S):
            raise NoAnswer("the broker does not answer")
        if self._problem:
            raise NoAnswer(self._problem)

    def _publish(self, topic: str, payload: bytes, token: bytes) -> None:
        assert self._client is not None
        properties = None
        if self._protocol == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves this untyped
            properties.ResponseTopic = self._inbox
            properties.CorrelationData = token
        self._client.publish(topic, payload, qos=1, properties=properties)

    def _next(self, deadline: float, timeout: float) -> paho.MQTTMessage:
        try:
            news = self._news.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            why = "the bridge is offline" if self._bridge_offline else "is the bridge running?"
            raise NoAnswer(f"no answer within {timeout:g} s; {why}") from None
        if isinstance(news, NoAnswer):
            raise news
        return news

    def _is_ours(self, answer: paho.MQTTMessage, token: bytes, request_id: object) -> bool:
        if self._protocol == "5":
            return getattr(answer.properties, "CorrelationData", None) == token
        try:
            return parse_object(bytes(answer.payload)).get("request_id") == request_id
        except BridgeError:
            return False

    # -- what paho tells, in its thread ----------------------------------------------------------------------------

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._too_new = reason.value == _UNSUPPORTED_VERSION or str(reason) == "Unsupported protocol version"
            self._problem = f"does not accept us: {reason}"
        elif self._wanted:  # the connection broke and came back
            client.subscribe([(topic, 1) for topic in (*self._wanted, self._topics.state)])
        self._accepted.set()

    def _on_disconnect(self, *_: Any) -> None:
        if not self._accepted.is_set():  # an old broker hangs up on a version that it does not know
            self._too_new, self._problem = True, "does not accept us: it hangs up"
            self._accepted.set()

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        answers = reasons[: len(self._wanted)]
        if all(reason.is_failure for reason in answers):
            self._problem = f"the broker does not let us hear the answer ({answers[0]})"
        self._granted.set()

    def _on_publish(self, _client: paho.Client, _data: Any, _mid: int, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._news.put(NoAnswer(f"the broker does not take the request ({reason})"))
        elif reason.value == _NOBODY:
            self._news.put(NoAnswer("nobody listens there; is the bridge running, on this broker and base topic?"))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == self._topics.state:
            self._bridge_offline = _says_offline(bytes(message.payload))
        else:
            self._news.put(message)


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _says_offline(payload: bytes) -> bool:
    try:
        return bool(json.loads(payload).get("state") == "offline")
    except (ValueError, AttributeError):
        return False
