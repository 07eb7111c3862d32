"""The other side of the bridge: ask over MQTT, and wait for the one answer."""

from __future__ import annotations

import json
import queue
import secrets
import threading
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from zkbridge.contract.messages import encode
from zkbridge.contract.topics import Topics


class NoAnswer(Exception):
    """The broker cannot be reached, or no answer came in time."""


class Caller:
    """An MQTT 5 client with a reply topic of its own below `<base>/replies/`; use it in a `with`.

    Raises NoAnswer when the broker does not accept it.
    """

    def __init__(
        self, host: str, port: int, *, base_topic: str = "zk", login: tuple[str, str | None] | None = None
    ) -> None:
        self._address = (host, port)
        self._topics = Topics(base_topic)
        self._inbox = f"{base_topic}/replies/{secrets.token_hex(8)}"
        self._answers: queue.Queue[tuple[bytes, bytes]] = queue.Queue()
        self._ready = threading.Event()
        self._problem: str | None = None
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if login:
            self._client.username_pw_set(*login)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        host, port = self._address
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise NoAnswer(f"the broker {host}:{port} cannot be reached: {error.strerror or error}") from error
        self._client.loop_start()
        if not self._ready.wait(10) or self._problem:
            self.__exit__(None, None, None)
            raise NoAnswer(f"the broker {host}:{port} does not accept us: {self._problem or 'no answer'}")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, device: str, command: str, body: dict[str, Any], *, timeout: float = 90) -> dict[str, Any]:
        """Publish a request and return its answer. Raises NoAnswer."""
        token = secrets.token_bytes(8)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves this untyped
        properties.ResponseTopic = self._inbox
        properties.CorrelationData = token
        self._client.publish(self._topics.command(device, command), encode(body), qos=1, properties=properties)
        while True:
            try:
                correlation, payload = self._answers.get(timeout=timeout)
            except queue.Empty:
                raise NoAnswer(f"no answer within {timeout:g} s; is the bridge running?") from None
            if correlation == token:
                answer: dict[str, Any] = json.loads(payload)
                return answer

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._problem = str(reason)
            self._ready.set()
        else:
            client.subscribe(self._inbox, qos=1)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self._answers.put((getattr(message.properties, "CorrelationData", b""), bytes(message.payload)))
