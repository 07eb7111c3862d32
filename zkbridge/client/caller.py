"""Asks the bridge over MQTT, and waits for the one answer."""

from __future__ import annotations

import json
import queue
import secrets
import time
from collections.abc import Callable, Mapping

from zkbridge.client.connection import Guest, NoAnswer
from zkbridge.config.models import Mqtt
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Message, encode, parse_object
from zkbridge.contract.topics import is_device_id

__all__ = ["Caller", "NoAnswer"]


class Caller(Guest):
    """Asks one thing after the other."""

    def __init__(self, settings: Mqtt) -> None:
        super().__init__(settings)
        self._inbox = inbox(settings)
        self._news: queue.Queue[Message | NoAnswer] = queue.Queue()
        self._bridge = ""

    def ask(
        self,
        device: str,
        command: str,
        body: Mapping[str, object],
        *,
        timeout: float = 90,
        progress: Callable[[JsonObject], None] | None = None,
    ) -> JsonObject:
        """Publish a request and return its answer; a `request_id` is made up if the body has none. Raises NoAnswer.

        `progress` is called with the command's progress; without it no progress is subscribed to.
        """
        deadline = time.monotonic() + timeout
        token = secrets.token_bytes(8)
        asked: JsonObject = {"request_id": f"call-{token.hex()}", **body}
        inbox = [self._inbox] if self.protocol == "5" else []
        steps = [] if progress is None else [self.topics.progress(device, command)]
        answers = [self.topics.reply(device, command), *inbox]
        self.listen([*answers, *steps, self.topics.state], needed=answers)
        self.publish(self.topics.command(device, command), encode(asked), response_topic=self._inbox, correlation=token)
        while True:
            answer = self._next(deadline, timeout, answers)
            if answer.topic in steps:
                step = read_object(answer.payload)
                if progress is not None and step.get("request_id") == asked["request_id"]:
                    progress(step)
            elif self._is_ours(answer, token, asked["request_id"]):
                content: JsonObject = json.loads(answer.payload)
                return content

    def heard(self, message: Message) -> None:
        """An answer, or the bridge's state."""
        if message.topic == self.topics.state:
            self._bridge = str(read_object(message.payload).get("state"))
        else:
            self._news.put(message)

    def taken(self, problem: str | None) -> None:
        """End the wait if no client has received the request."""
        if problem is not None:
            self._news.put(NoAnswer(problem))

    def _next(self, deadline: float, timeout: float, answers: list[str]) -> Message:
        try:
            news = self._news.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise NoAnswer(f"no answer within {timeout:g} s; {self._why(answers)}") from None
        if isinstance(news, NoAnswer):
            raise news
        return news

    def _why(self, answers: list[str]) -> str:
        """Why no answer may have come."""
        if self._bridge == "offline":
            return "the bridge is offline"
        return self.trouble() or self.question(answers, online=self._bridge == "online")

    def _is_ours(self, answer: Message, token: bytes, request_id: object) -> bool:
        if answer.correlation_data is not None:
            return answer.correlation_data == token
        # The bridge, or the broker, speaks 3.1.1: Response Topic and Correlation Data did not reach the bridge.
        return bool(read_object(answer.payload).get("request_id") == request_id)


def inbox(settings: Mqtt) -> str:
    """A topic for answers that no other program uses."""
    return f"{settings.base_topic}/replies/{_level(settings.username)}/{secrets.token_hex(8)}"


def _level(username: str | None) -> str:
    """The level below which only this user may read, if the access list says so; a fixed one for other names."""
    return username if username is not None and is_device_id(username) else "cli"


def read_object(payload: bytes) -> JsonObject:
    """What a message says; nothing if it is no object."""
    try:
        return parse_object(payload)
    except BridgeError:
        return {}
