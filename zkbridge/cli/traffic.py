"""Follows requests and answers between callers and the bridge, without passwords, cards and names."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Message, parse_object
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import BRIDGE, Topics

#: How many requests, and how many punches and other events of terminals, are remembered.
MOST, MOST_EVENTS = 500, 50


@dataclass
class Asked:
    """A request that was seen, and its answer once that was seen; `at` and `took_s` are seconds."""

    at: float
    device: str
    command: str
    user_id: str = ""
    request_id: str = ""
    correlation: bytes | None = None
    status: int | None = None
    said: str = ""
    took_s: float | None = None

    @property
    def what(self) -> str:
        """Device, command and user."""
        return f"{self.device} {self.command} {self.user_id}".rstrip()


class Sightings:
    """Everything seen so far; `see` takes one message and returns the news in it, if any.

    `facts` are those of the last line that `see` returned, for machines: `event` says what it is.
    """

    def __init__(self, topics: Topics, commands: Collection[str]) -> None:
        self._topics = topics
        self._commands = set(commands)
        self.bridge = "not seen yet"
        self.version = ""
        self.facts: JsonObject = {}
        self.devices: dict[str, str | None] = {}
        self.asked: deque[Asked] = deque(maxlen=MOST)
        self.events: deque[tuple[float, str]] = deque(maxlen=MOST_EVENTS)  # when each was seen, and its line

    def see(self, message: Message, *, now: float) -> str | None:
        """One line for people, None if the message says nothing new. `now` is in seconds, of any clock."""
        topic, correlation = message.topic, message.correlation_data
        try:
            body = parse_object(message.payload)
        except BridgeError:
            body = {}
        device, command = self._topics.parse(topic) or ("", "")
        if device == BRIDGE:
            return self._see_bridge(command, body)
        events: dict[str, Callable[[str, JsonObject], str | None]] = {
            self._topics.availability(device): self._see_device,
            self._topics.punches(device): partial(self._see_event, _punch, now),
            self._topics.user_events(device): partial(self._see_event, _user_event, now),
        }
        if topic in events:
            return events[topic](device, body)
        if command in self._commands:
            return self._see_request(device, command, body, correlation=correlation, now=now)
        if command.removesuffix("/progress") in self._commands:
            return self._see_progress(device, command.removesuffix("/progress"), body)
        if "success" in body and "code" in body:
            return self._see_answer(device, command, body, message, now=now)
        return None

    # -- inside ----------------------------------------------------------------------------------------------------

    def _see_bridge(self, what: str, body: JsonObject) -> str | None:
        if what == "info":
            self.version = _word(body, "version")
            devices = body.get("devices")
            for device in devices if isinstance(devices, list) else ():
                self.devices.setdefault(shown(str(device)), None)
            return None
        state = _word(body, "state")
        if what != "state" or state == self.bridge:
            return None
        self.bridge = state
        self.facts = {"event": "bridge", "state": state}
        return f"bridge {state}"

    def _see_device(self, device: str, body: JsonObject) -> str | None:
        state = " ".join(filter(None, (_word(body, "state"), _word(body, "reason", 160))))
        device = shown(device)
        if self.devices.get(device) == state:
            return None
        self.devices[device] = state
        self.facts = _told(body, "state", "reason", "address", event="device", device=device)
        return f"device {device} {state}"

    def _see_event(self, tell: Callable[[str, JsonObject], str], now: float, device: str, body: JsonObject) -> str:
        line = tell(device, body)
        if tell is _punch:
            self.facts = _told(body, "user_id", "timestamp", event="punch", device=shown(device))
        else:
            told = ("user_id", "reason", "timestamp")
            self.facts = _told(body, *told, event=_word(body, "event"), device=shown(device))
        self.events.append((now, line))
        return line

    def _see_request(
        self, device: str, command: str, body: JsonObject, *, correlation: bytes | None, now: float
    ) -> str:
        who, request_id = _word(body, "user_id"), _word(body, "request_id")
        asked = Asked(now, shown(device), command, who, request_id, correlation)
        self.asked.append(asked)
        self.facts = _told(body, "user_id", "request_id", event="request", device=asked.device, command=command)
        return f"→ {asked.what}{f' ({request_id})' if request_id else ''}"

    def _see_progress(self, device: str, command: str, body: JsonObject) -> str:
        who = " ".join(filter(None, (shown(device), command, _word(body, "user_id"))))
        told = ("user_id", "step", "message", "request_id")
        self.facts = _told(body, *told, event="progress", device=shown(device), command=command)
        return f"… {who}: {_word(body, 'message', 160)}"

    def _see_answer(self, device: str, command: str, body: JsonObject, message: Message, *, now: float) -> str:
        command = command.removesuffix("/reply")
        asked = self._find(device, command, _word(body, "request_id"), message.correlation_data)
        if asked is None:  # the request came before this program began, or it may not read requests
            data = body.get("data")
            known = _word(data, "device_id") if isinstance(data, dict) else ""
            asked = Asked(now, known or shown(device), shown(message.answers or command))
            self.asked.append(asked)
        else:
            asked.took_s = now - asked.at
        status = body.get("status")
        asked.status = status if isinstance(status, int) else None
        asked.said = _word(body, "message", 160) or _word(body, "error", 160) or _word(body, "code")
        took = f" in {asked.took_s:.2f} s" if asked.took_s is not None else ""
        about = {"device": asked.device, "command": asked.command, "user_id": asked.user_id, "status": asked.status}
        took_s = None if asked.took_s is None else round(asked.took_s, 3)
        self.facts = {"event": "answer", **about, "said": asked.said, "seconds": took_s}
        self.facts |= _told(body, "code", "request_id")
        return f"← {asked.what}: {asked.status} {asked.said}{took}"

    def _find(self, device: str, command: str, request_id: str, correlation: bytes | None) -> Asked | None:
        """The oldest request without an answer that this can be the answer to."""
        for asked in self.asked:
            if asked.status is not None:
                continue
            if correlation is not None or asked.correlation is not None:
                if correlation == asked.correlation:
                    return asked
            elif (asked.device, asked.command, asked.request_id) == (shown(device), command, request_id):
                return asked
        return None


def _punch(device: str, body: JsonObject) -> str:
    return f"• {shown(device)}: user {_word(body, 'user_id')} at {_word(body, 'timestamp') or 'no known time'}"


def _user_event(device: str, body: JsonObject) -> str:
    late = ", late" if body.get("late") is True else ""
    return f"• {shown(device)}: user {_word(body, 'user_id')} {_word(body, 'event')} ({_word(body, 'reason')}{late})"


def _told(body: JsonObject, *keys: str, **more: str) -> JsonObject:
    """These facts, and those of the body's texts that are there."""
    return {**more, **{key: word for key in keys if (word := _word(body, key, 160))}}


def _word(body: JsonObject, key: str, limit: int = 64) -> str:
    value = body.get(key)
    plain = isinstance(value, (str, int)) and not isinstance(value, bool)
    return shown(str(value), limit) if plain else ""
