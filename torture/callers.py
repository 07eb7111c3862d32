"""Good callers: they publish at QoS 1, wait for the PUBACK, and keep whatever they hear."""

from __future__ import annotations

import queue
import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessage

from tests.support.caller import Caller
from torture.history import Answer, Ask, History, Inquiry, Wish
from torture.plan import Message

#: Seconds that a caller waits for the broker's PUBACK: longer than any broker of a run is away.
PUBACK_S = 120.0
COMMAND = "zk/{}/users/create"
REPLIES = "zk/+/users/create/reply"
ANSWERS = "zk/replies/{}"
_EXISTS = re.compile(r"user_id '([^']*)' ya existe")


class Post:
    """Which answer belongs to which inquiry: by correlation data, by request_id, by the user it names."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._by_correlation: dict[bytes, Inquiry] = {}
        self._by_request_id: dict[tuple[str, str], Inquiry] = {}
        self._by_user: dict[tuple[str, str], Inquiry] = {}
        self._asking: dict[str, Inquiry] = {}

    def expect(self, message: Message) -> None:
        """An answer to this will come."""
        wish, inquiry = message.wish, message.inquiry
        with self._lock:
            if message.correlation is not None:
                self._by_correlation[message.correlation] = inquiry
            elif inquiry.request_id is not None:
                self._by_request_id[wish.device, inquiry.request_id] = inquiry
            else:
                self._by_user[wish.device, wish.user.user_id] = inquiry

    def asking_alone(self, device: str, inquiry: Inquiry | None) -> None:
        """Until said otherwise, whatever answer of this device names nobody belongs to this inquiry."""
        with self._lock:
            if inquiry is None:
                self._asking.pop(device, None)
            else:
                self._asking[device] = inquiry

    def sent(self, inquiry: Inquiry, ask: Ask) -> None:
        """The broker has taken a message."""
        with self._lock:
            inquiry.asks.append(ask)

    def heard(self, answer: Answer) -> None:
        """A reply has come to somebody."""
        with self._lock:
            inquiry = self._whose(answer)
            if inquiry is not None:
                inquiry.answers.append(answer)

    def _whose(self, answer: Answer) -> Inquiry | None:
        if answer.correlation is not None:
            return self._or_stray(self._by_correlation.get(answer.correlation), answer)
        device, body = answer.topic.split("/")[1], answer.body
        if "request_id" in body:
            return self._or_stray(self._by_request_id.get((device, body["request_id"])), answer)
        user_id = body["data"]["user_id"] if body["success"] else _user_named(body)
        if user_id is not None:
            return self._or_stray(self._by_user.get((device, user_id)), answer)
        if device in self._asking:
            return self._asking[device]
        self._history.anonymous.setdefault(device, []).append(answer)
        return None

    def _or_stray(self, inquiry: Inquiry | None, answer: Answer) -> Inquiry | None:
        if inquiry is None:
            self._history.strays.append(answer)
        return inquiry


class _Ear(Caller):
    """A client that hands over every reply as it comes, and knows when its connection broke."""

    post: Post
    name: str

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        self.post.heard(Answer(time.time(), message.topic, bytes(message.payload), correlation, self.name))


@dataclass(frozen=True)
class _Job:
    message: Message
    again: bool
    repeats: bool


class Customer:
    """One caller with a thread of its own: `ask` never waits."""

    def __init__(self, port: int, name: str, protocol: str, post: Post) -> None:
        self.name = name
        self.mqtt5 = protocol == "5"
        self._post = post
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._ear = _Ear(port, "5" if self.mqtt5 else "3.1.1", client_id=name, session=True, keepalive_s=60)
        self._ear.post, self._ear.name = post, name
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.unconfirmed = 0

    def start(self) -> None:
        """Subscribe, and begin to publish."""
        self._ear.connect()
        # A 3.1.1 caller knows no Response Topic: it listens where all replies go that nobody wanted elsewhere.
        self._ear.subscribe(ANSWERS.format(self.name) if self.mqtt5 else REPLIES)
        self._thread.start()

    def stop(self) -> None:
        """Publish what waits, and leave."""
        self._jobs.put(None)
        self._thread.join()
        self._ear.close()

    def ask(self, message: Message, *, again: bool = False, repeats: bool = False) -> None:
        """Publish this when its turn comes."""
        self._post.expect(message)
        self._jobs.put(_Job(message, again, repeats))

    def drain(self) -> None:
        """Return when the broker has confirmed all that was to be published."""
        self._jobs.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._publish(job)
            finally:
                self._jobs.task_done()
        self._jobs.task_done()

    def _publish(self, job: _Job) -> None:
        message = job.message
        breaks, at = len(self._ear.disconnections), time.time()
        connected = self._ear.connected
        options: dict[str, Any] = {}
        if message.correlation is not None:
            options = {"response_topic": ANSWERS.format(self.name), "correlation_data": message.correlation}
        try:
            topic = COMMAND.format(message.wish.device)
            self._ear.publish(topic, message.payload, retain=message.retain, timeout=PUBACK_S, **options)
            confirmed_at: float | None = time.time()
        except AssertionError:
            self.unconfirmed += 1
            confirmed_at = None
        broke = connected and len(self._ear.disconnections) != breaks
        ask = Ask(at, self.name, message.correlation, confirmed_at, resent=broke, again=job.again, repeats=job.repeats)
        self._post.sent(message.inquiry, ask)


class Crowd:
    """All callers of a run; who is to publish is chosen by number."""

    def __init__(self, port: int, post: Post, *, five: int = 3, three: int = 3) -> None:
        self._five = [Customer(port, f"cinco-{number}", "5", post) for number in range(five)]
        self._three = [Customer(port, f"tres-{number}", "3.1.1", post) for number in range(three)]

    @property
    def unconfirmed(self) -> int:
        """Messages that no broker confirmed in time."""
        return sum(customer.unconfirmed for customer in self._all)

    @property
    def _all(self) -> list[Customer]:
        return [*self._five, *self._three]

    def start(self) -> None:
        """Connect them all."""
        for customer in self._all:
            customer.start()

    def stop(self) -> None:
        """Let them all go."""
        for customer in self._all:
            customer.stop()

    def drain(self) -> None:
        """Return when every message is confirmed."""
        for customer in self._all:
            customer.drain()

    def ask(self, message: Message, *, again: bool = False, repeats: bool = False) -> None:
        """Have somebody publish a message; one with correlation data always the same caller."""
        who = self._three if message.correlation is None else self._five
        who[message.caller % len(who)].ask(message, again=again, repeats=repeats)


def silent(wish: Wish) -> bool:
    """Whether a wish has a message that was published and never answered."""
    return any(inquiry.asks and not inquiry.answers for inquiry in wish.inquiries)


def _user_named(body: dict[str, object]) -> str | None:
    found = _EXISTS.search(str(body.get("error", "")))
    return found[1] if found else None
