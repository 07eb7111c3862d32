"""Ask many requests of one command, some at a time; repeat each until it has its final answer."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping

from zkbridge.client.caller import inbox, read_object
from zkbridge.client.connection import Guest, NoAnswer
from zkbridge.config.models import Mqtt
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.messages import Message, encode

#: Seconds without an answer after which a request is sent again. It is the same one, so nothing is done twice.
PATIENCE_S = 90.0
#: Seconds without any answer after which the requests are given up: answers do not reach us.
SILENT_S = 3 * PATIENCE_S
#: How often a request is tried whose answer says `retryable`, and how many seconds lie between.
TRIES, PAUSE_S = 5, 15.0
#: Seconds after which what is due is looked for again.
_LOOK_S = 0.5


class TerminalAway(Exception):
    """The terminal did not become reachable; `str` is the sentence of the last answer."""


class Batch(Guest):
    """Requests of one command to one device, by their request_ids. Use it in a `with`, once.

    At most `at_once` of them are under way, so that other callers still get their turn.
    """

    def __init__(self, settings: Mqtt, device: str, command: str, *, at_once: int) -> None:
        super().__init__(settings)
        self._at_once = at_once
        self._topic = self.topics.command(device, command)
        self._reply = self.topics.reply(device, command)
        self._inbox = inbox(settings)
        self._news: queue.Queue[Message] = queue.Queue()
        self._refused: str | None = None
        self._under_way: dict[str, float] = {}  # when each is sent again
        self._tries: dict[str, int] = {}
        self._not_before = 0.0

    def run(self, requests: Mapping[str, JsonObject], answered: Callable[[str, JsonObject], object]) -> None:
        """Call `answered` with each request_id and its final answer.

        Raises TerminalAway when the terminal stays away, after a call with the last answer that said so; NoAnswer when
        nobody takes the first requests, or none of them is answered in SILENT_S.
        """
        waiting = dict(requests)
        replies = [self._reply, self._inbox] if self.protocol == "5" else [self._reply]
        self.listen(replies)
        give_up_at = time.monotonic() + SILENT_S
        while waiting:
            self._send_what_is_due(waiting)
            answer = self._next()
            if answer:
                give_up_at = float("inf")
            elif time.monotonic() >= give_up_at:
                raise NoAnswer(f"no answer within {SILENT_S:g} s; {self.trouble() or self.question(replies)}")
            if self._refused is not None and len(waiting) == len(requests):
                raise NoAnswer(self._refused)
            request = answer.get("request_id")
            if isinstance(request, str) and request in waiting:
                final = self._is_final(request, answer)
                if final or self._tries.get(request) == TRIES:
                    del waiting[request]
                    answered(request, answer)
                if not final and request not in waiting:
                    raise TerminalAway(_why(answer))

    def heard(self, message: Message) -> None:
        """An answer."""
        self._news.put(message)

    def taken(self, problem: str | None) -> None:
        """What the broker says of a request; before the first answer it is worth telling."""
        self._refused = problem

    def _is_final(self, request: str, answer: JsonObject) -> bool:
        """Whether nothing else will be answered to it."""
        self._under_way.pop(request, None)
        if answer.get("code") == "busy":
            self._wait(answer.get("retry_after_s"))
        elif may_be_repeated(answer):
            self._wait(PAUSE_S)
            self._tries[request] = self._tries.get(request, 0) + 1
        else:
            return True
        return False

    def _wait(self, seconds: object) -> None:
        self._not_before = time.monotonic() + (seconds if isinstance(seconds, int | float) else PAUSE_S)

    def _send_what_is_due(self, waiting: Mapping[str, JsonObject]) -> None:
        now = time.monotonic()
        if now < self._not_before:
            return
        unanswered = [request for request, moment in self._under_way.items() if moment < now]
        new = (request for request in waiting if request not in self._under_way)
        room = max(0, self._at_once - len(self._under_way))
        for request in [*unanswered, *(each for each, _ in zip(new, range(room), strict=False))]:
            body = {**waiting[request], "request_id": request}
            self.publish(self._topic, encode(body), response_topic=self._inbox, correlation=request.encode())
            self._under_way[request] = now + PATIENCE_S

    def _next(self) -> JsonObject:
        try:
            return read_object(self._news.get(timeout=_LOOK_S).payload)
        except queue.Empty:
            return {}


def may_be_repeated(answer: JsonObject) -> bool:
    """Whether the same request, or a row of its list, is carried out when it is asked again."""
    return bool(answer.get("retryable")) or any(map(may_be_repeated, parts_of(answer)))


def parts_of(answer: JsonObject) -> list[JsonObject]:
    """The answers of a group's members or of a list's rows within an answer."""
    results = answer.get("results")
    return [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []


def _why(answer: JsonObject) -> str:
    """The sentence of the first failure that may be repeated."""
    return next((_why(each) for each in parts_of(answer) if may_be_repeated(each)), str(answer.get("error")))
