"""Who asks for doors and who hears the answers, and by what each answer is known."""

from __future__ import annotations

import time

from paho.mqtt.client import Client
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.caller import Caller, Message
from torture.door_oracle import Answer, Request


class Sender(Caller):
    """A caller that knows when the broker has confirmed what, and never sends anything twice by itself."""

    def __init__(self, port: int) -> None:
        super().__init__(port, reconnect=False)
        self.confirmed: dict[int, float] = {}

    def _on_publish(self, _c: Client, _u: object, mid: int, _reason: ReasonCode, _p: object) -> None:
        self.confirmed[mid] = time.time()


class Listener(Caller):
    """A caller that finds out whose answer it hears."""

    def __init__(self, port: int, requests: dict[str, Request]) -> None:
        super().__init__(port)
        self._requests = requests
        self._read = 0

    def sort(self) -> int:
        """Give each answer that came to its request; how many that were."""
        news = self.messages[self._read :]
        self._read += len(news)
        for message in news:
            self._sort(message)
        return len(news)

    def _sort(self, message: Message) -> None:
        body, copy = message.json, None
        key = body.get("request_id")
        if message.correlation_data is not None:
            key, copy = whose(message.correlation_data)
        if key is not None:  # else it is the answer to the clearing of a retained message
            self._requests[key].answers.append(Answer(body, copy))


def key_of(name: str, seconds: int) -> str:
    """A request in a word: its request_id, where it has one."""
    return f"{name}/{seconds}"


def whose(correlation: bytes) -> tuple[str, int]:
    """Whose Correlation Data this is, and of which copy."""
    key, _, copy = correlation.decode().partition(" ")
    return key, int(copy)
