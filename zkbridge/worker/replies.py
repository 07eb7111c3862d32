"""Makes the replies to the requests of one device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

from zkbridge.config.models import Config
from zkbridge.contract.bodies import Body, ProgressBody
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Reply, encode, failed, succeeded
from zkbridge.contract.texts import Language, say
from zkbridge.ledger.records import Request
from zkbridge.worker.surroundings import ReplyRoom
from zkbridge.worker.task import Task

#: Bytes of a list's reply that are not rows, the request_id aside.
ENVELOPE_BYTES = 256


class _Fixed(NamedTuple):
    size: int

    def current(self) -> int:
        return self.size


class ReplyMaker:
    """Makes replies in the language that a request names, or the configured one.

    Without a `reply_room` a reply's body may have `mqtt.max_reply` bytes.
    """

    def __init__(self, config: Config, reply_room: ReplyRoom | None = None) -> None:
        self._language: Language = config.language
        self._reply_room = reply_room or _Fixed(config.mqtt.max_reply)

    def language_of(self, request: Request) -> Language:
        """In which language a request is answered."""
        return request.language or self._language

    def succeeded(self, task: Task, body: Body) -> Reply:
        """The reply to a request that succeeded, with the command's sentence."""
        data = body.get("data")
        if task.command.answer.says is not None:
            facts = data if isinstance(data, dict) else {}
            body = {"message": say(task.command.name, self.language_of(task.request), **facts), **body}
        return succeeded(body, code=task.command.code, request_id=task.request.request_id)

    def failed(self, request: Request, error: BridgeError) -> Reply:
        """The reply to a request that failed."""
        return failed(error, self.language_of(request), request_id=request.request_id)

    def room_for_rows(self, task: Task) -> int:
        """How many bytes the rows of a list may take in the reply to this request."""
        envelope = ENVELOPE_BYTES + len(encode(task.request.request_id))
        shares = task.request.shares
        return (self._reply_room.current() - envelope) // shares - (envelope if shares > 1 else 0)

    def progress(self, request: Request, step: str, facts: Mapping[str, object]) -> ProgressBody:
        """The message that an attended request has reached a step."""
        message = say(f"{request.command}.{step}", self.language_of(request), **facts)
        body = {"message": message, "step": step, **facts, "device_id": request.device}
        if request.request_id is not None:
            body["request_id"] = request.request_id
        return cast("ProgressBody", body)  # mypy takes no facts of a step that it does not know beside the keys
