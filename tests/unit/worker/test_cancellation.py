"""A request that cancels another is answered in any case, also when the other has just ended by itself."""

import json
from collections import deque

import pytest

from zkbridge.commands import commands
from zkbridge.config.models import Config, Device
from zkbridge.contract.messages import failed, succeeded
from zkbridge.ledger.records import Request
from zkbridge.worker.cancellation import Cancellation
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.task import Task

COMMANDS = commands()
ENROLL, CANCEL = "users/enroll-finger", "users/enroll-finger/cancel"
BODY = b'{"user_id":"7","finger_index":3}'


def request(number: int, command: str) -> Request:
    return Request(number, "p", command, f"r{number}", BODY, 0.0)


def make(asked: Request) -> Task:
    command = COMMANDS[asked.command]
    return Task(asked, command, command.load(asked.params))


class Tasks:
    def make(self, request: Request) -> Task:
        return make(request)


class NothingStored:
    def reply_of(self, _request: object) -> None:
        return None


@pytest.fixture
def cancellation() -> Cancellation:
    replies = ReplyMaker(Config.model_validate({"devices": {"p": {"host": "192.0.2.1"}}}))
    device = Device(id="p", host="192.0.2.1")
    return Cancellation(device, COMMANDS, replies=replies, tasks=Tasks(), stored=NothingStored())


def cancel(cancellation: Cancellation, in_hand: list[Task], number: int = 2) -> list[Task]:
    ends = COMMANDS[CANCEL].ends
    return cancellation.begin(request(number, CANCEL), ends, in_hand, deque())


def test_a_request_that_has_begun_is_asked_to_end_and_its_canceller_answered_with_it(
    cancellation: Cancellation,
) -> None:
    enrolment = make(request(1, ENROLL))
    enrolment.begun = True

    assert cancel(cancellation, [enrolment]) == []
    assert enrolment.presence.ended

    enrolment.reply = failed(COMMANDS[CANCEL].ends.error(), "es", request_id="r1")
    (canceller,) = cancellation.answer_with(enrolment)
    assert (canceller.request.id, canceller.reply.status) == (2, 200)


def test_a_request_that_is_answered_cannot_be_cancelled_and_its_canceller_is_answered_at_once(
    cancellation: Cancellation,
) -> None:
    enrolment = make(request(1, ENROLL))
    enrolment.begun = True
    enrolment.reply = succeeded({"data": {}}, code="enrolled", request_id="r1")
    assert cancellation.answer_with(enrolment) == []

    (canceller,) = cancel(cancellation, [enrolment])

    assert canceller.request.id == 2
    assert json.loads(canceller.reply.body)["success"] is False
    assert not enrolment.presence.ended
