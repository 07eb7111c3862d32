"""Asks what was drawn, some of it several times, and gives each answer to its request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.caller import Caller, Message
from torture.people_plan import Town
from torture.people_state import Request

#: After how many seconds a request is published again, if it is: before its answer, and long after.
COPIES_S: tuple[tuple[float, ...], ...] = ((), (), (), (), (0.0,), (0.1, 0.5), (2.0,), (0.0, 6.0))
MOST_COPIES = 8
#: The list of a plan that a user is in, by the code of the command that did it.
DONE = {"created": "added", "updated": "changed", "blocked": "blocked", "unblocked": "unblocked", "deleted": "deleted"}


class Desk:
    """Requests under way, and all answers to them."""

    def __init__(
        self, random: Random, caller: Caller, town: Town, *, later: Callable[[float, Callable[[], object]], None]
    ) -> None:
        self.active: list[Request] = []
        #: The share of requests that are asked again at once where their effect is unknown.
        self.asked_again = 0.6
        self.backups: dict[int, str] = {}
        self.asked = self.published = self.heard = 0
        self._random = random
        self._caller = caller
        self._town = town
        self._later = later
        self._by_id: dict[str, Request] = {}
        self._documents: dict[tuple[str, int], Request] = {}
        self._read = 0
        self._to_come: dict[int, int] = {}

    def ask(self, request: Request) -> None:
        """Publish it, and some of them again after a while."""
        self.asked += 1
        self._town.take(request)
        self.active.append(request)
        self._by_id[request.request_id] = request
        if request.command == "users/desired":
            self._documents[request.device, request.body["version"]] = request
            self.publish(request)
            return
        self.publish(request)
        for seconds in self._random.choice(COPIES_S):
            self._to_come[request.number] = self._to_come.get(request.number, 0) + 1
            self._later(seconds, lambda: self._publish_copy(request))

    def _publish_copy(self, request: Request) -> None:
        self._to_come[request.number] -= 1
        self.publish(request)

    def publish(self, request: Request) -> None:
        """Publish it, or publish it once more."""
        copy = len(request.published)
        request.published.append(time.time())
        self.published += 1
        said = {name: value for name, value in request.body.items() if name != "users"}
        for key in request.outcomes:
            self._town.book.note(key, f"ASKED  {request.topic} {json.dumps(said)}{f' again ({copy})' * bool(copy)}")
        if request.command == "users/desired":
            self._caller.send(request.topic, request.body, retain=True)
        else:
            self._caller.send(request.topic, request.body, correlation_data=f"{request.request_id} {copy}".encode())

    def listen(self) -> None:
        """Give each answer that came to its request, and close what is answered."""
        news = self._caller.messages[self._read :]
        self._read += len(news)
        self.heard += len(news)
        for message in news:
            self._hear(message)
        for request in [each for each in self.active if each.is_heard and not self._to_come.get(each.number)]:
            self._over(request)

    def close(self, request: Request) -> None:
        """Work out what a restore or a document has done."""
        self._town.book.close_lists(request)

    def _over(self, request: Request) -> None:
        self.active.remove(request)
        if request.alone_on is not None:
            return  # whoever has the terminal alone closes it
        if (
            request.doubtful - request.final.keys()
            and self._random.random() < self.asked_again
            and len(request.published) < MOST_COPIES
        ):
            self.ask_again(request)
            return
        self._town.book.close(request)
        self._town.release(request)
        for device, user_id in request.outcomes:
            if None in self._town.book.states((device, user_id)):
                self._town.was_doubted(device, [user_id])

    def _hear_plan(self, device: str, body: dict[str, Any]) -> None:
        """A plan; after one that is not whole, what became of each user who waited for the terminal."""
        version = body.get("version") or int(body.get("request_id", 0))
        request = self._documents.get((device, version))
        if request is None or body.get("state") in ("waiting", "drift"):
            return  # another plan follows
        if "state" in body or not request.late_users:
            if not request.code:  # else the broker has brought it twice
                self._town.book.hear_lists(request, body)
                request.late_users = int(body.get("waiting", 0))
        elif body["success"]:
            user_id = body["data"]["user_id"]
            if (device, user_id) in request.final:
                return
            request.late_users -= 1
            entry = {**body, "user_id": user_id, "code": DONE[body["code"]]}
            self._town.book.hear_lists(request, {"code": "planned", "results": [entry]})
        else:
            request.late_users -= 1
            request.names_all = False
        if not request.late_users:
            request.is_whole = request.is_whole and request.names_all
            request.answered.add(0)

    def ask_again(self, request: Request) -> None:
        """Publish a request that is over once more."""
        self.active.append(request)
        self.publish(request)

    def _hear(self, message: Message) -> None:
        parts = message.topic.split("/")
        body, device = message.json, parts[1]
        if parts[-1] == "plan":
            self._hear_plan(device, body)
            return
        assert message.correlation_data is not None, message
        request_id, _, copy = message.correlation_data.decode().partition(" ")
        request = self._by_id[request_id]
        if device != request.device:
            self._town.book.hear(request, body, member=device)
            return
        request.answered.add(int(copy))
        if request.command == "device/backup":
            request.code, request.is_whole = str(body["code"]), body["success"]
            if body["success"]:
                self.backups[request.number] = body["data"]["backup"]
        elif request.alone_on is not None:
            self._town.book.hear_lists(request, body)
        else:
            self._town.book.hear(request, body)
