"""Whoever wants a request ended is answered in any case, also when it has come to its own end just then."""

import json
from collections import deque

import pytest

from zkbridge.commands import commands
from zkbridge.config.models import Device
from zkbridge.contract.messages import failed, succeeded
from zkbridge.ledger.records import Request
from zkbridge.worker.cancellation import Endings
from zkbridge.worker.task import Task

COMMANDS = commands()
ENROLL, CANCEL = "users/enroll-finger", "users/enroll-finger/cancel"
BODY = b'{"user_id":"7","finger_index":3}'


def request(number, command):
    return Request(number, "p", command, f"r{number}", BODY, 0.0)


def make(asked):
    command = COMMANDS[asked.command]
    return Task(asked, command, command.load(asked.params))


@pytest.fixture
def endings():
    return Endings(
        Device(id="p", host="192.0.2.1"),
        COMMANDS,
        succeeded=lambda task, body: succeeded(body, code=task.command.code, request_id=task.request.request_id),
        failed=lambda task, error: failed(error, "es", request_id=task.request.request_id),
        make=make,
        reply_of=lambda _request: None,
    )


def cancel(endings, in_hand, number=2):
    ends = COMMANDS[CANCEL].ends
    return endings.begin(request(number, CANCEL), ends, in_hand, deque())


def test_what_has_begun_is_told_to_end_and_answers_whoever_wanted_that(endings):
    enrolment = make(request(1, ENROLL))
    enrolment.begun = True

    assert cancel(endings, [enrolment]) == []
    assert enrolment.presence.ended

    enrolment.reply = failed(COMMANDS[CANCEL].ends.error(), "es", request_id="r1")
    (canceller,) = endings.answer_with(enrolment)
    assert (canceller.request.id, canceller.reply.status) == (2, 200)


def test_what_is_answered_already_can_be_ended_no_more_and_nobody_waits_for_it(endings):
    enrolment = make(request(1, ENROLL))
    enrolment.begun = True
    enrolment.reply = succeeded({"data": {}}, code="enrolled", request_id="r1")
    assert endings.answer_with(enrolment) == []

    (canceller,) = cancel(endings, [enrolment])

    assert canceller.request.id == 2
    assert json.loads(canceller.reply.body)["success"] is False
    assert not enrolment.presence.ended
