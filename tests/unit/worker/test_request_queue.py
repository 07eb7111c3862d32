"""What the request queue decides: which request comes next, with whom it shares a session, and what is cancelled."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.worker.parts import (
    CANCEL,
    COMMANDS,
    CREATE,
    DEVICE,
    ENROLL,
    LIST,
    PING,
    REPLIES,
    Stored,
    Tasks,
    request,
)
from zkbridge.contract.messages import succeeded
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.worker.cancellation import Cancellation
from zkbridge.worker.request_queue import RequestQueue, Step
from zkbridge.worker.task import Task

DONE = succeeded({"data": {}}, code="created", request_id=None)


class Older:
    """The requests that wait for the terminal, by the key that they are about."""

    def __init__(self) -> None:
        self.requests: dict[Any, Any] = {}
        self.failure: Exception | None = None

    def older_than(self, task: Task) -> list[Any]:
        if self.failure is not None:
            raise self.failure
        return self.requests.pop(task.params.key, [])


class Here:
    def __init__(self) -> None:
        self.tasks, self.older = Tasks(), Older()
        cancellation = Cancellation(DEVICE, COMMANDS, replies=REPLIES, tasks=self.tasks, stored=Stored())
        self.queue = RequestQueue(COMMANDS, tasks=self.tasks, older=self.older, cancellation=cancellation)

    def add(self, *names: Any) -> None:
        self.queue.add([request(number, name) for number, name in enumerate(names, start=1)])

    def taken(self, most: int = 64, **which: Any) -> list[int]:
        return [task.request.id for task in self.queue.take(most, **which)]


@pytest.fixture
def here() -> Here:
    return Here()


@pytest.mark.parametrize(
    ("names", "probe", "may_catch_up", "step"),
    [
        ([], False, False, Step.SESSION),
        ([], True, False, Step.PROBE),
        ([], False, True, Step.CATCH_UP),
        ([], True, True, Step.PROBE),
        ([PING], True, True, Step.SESSION),
        ([PING], False, True, Step.SESSION),
    ],
)
def test_requests_come_before_a_probe_and_a_probe_before_catching_up(
    here: Here, names: list[str], probe: bool, may_catch_up: bool, step: Step
) -> None:
    here.add(*names)
    here.queue.want_probe(wanted=probe)

    assert here.queue.next_step(may_catch_up=may_catch_up) is step


def test_a_probe_is_done_once_and_dropped_where_a_request_reaches_the_terminal_anyway(here: Here) -> None:
    here.queue.want_probe(wanted=True)
    assert here.queue.next_step(may_catch_up=False) is Step.PROBE
    assert not here.queue.has_work

    here.queue.want_probe(wanted=True)
    here.add(PING)
    here.queue.next_step(may_catch_up=False)
    here.queue.take(1)
    here.queue.drop_in_hand()

    assert not here.queue.has_work


@pytest.mark.parametrize(
    ("names", "disables", "taken"),
    [
        ([CREATE, CREATE, LIST, CREATE], True, [1, 2]),
        ([LIST, PING, CREATE], False, [1, 2]),
        ([LIST, CREATE], True, []),
        ([PING, ENROLL, PING], False, [1]),
        ([ENROLL], False, []),
        ([CREATE, LIST, ENROLL], None, [1, 2, 3]),
    ],
)
def test_a_session_takes_the_requests_of_its_kind_and_keeps_the_order(
    here: Here, names: list[str], disables: bool | None, taken: list[int]
) -> None:
    here.add(*names)

    assert here.taken(disables=disables) == taken
    assert here.queue.waiting == len(names)


def test_no_more_requests_are_taken_than_asked_for(here: Here) -> None:
    here.add(PING, PING, PING)

    assert here.taken(2, disables=False) == [1, 2]


class TestFirst:
    def test_nothing_comes_first_in_an_empty_queue(self, here: Here) -> None:
        assert here.queue.first() is None

    def test_a_request_that_waits_stays_in_the_queue(self, here: Here) -> None:
        here.add(CREATE)

        assert here.queue.first().name == CREATE
        assert here.queue.in_hand == []

    def test_an_attended_request_is_taken_in_hand_alone(self, here: Here) -> None:
        here.add(ENROLL, PING)

        assert here.queue.first().name == ENROLL
        assert [task.request.id for task in here.queue.in_hand] == [1]

    def test_what_is_in_hand_comes_before_what_waits(self, here: Here) -> None:
        here.add(CREATE, PING)
        here.queue.take(1)

        assert here.queue.first().name == CREATE


class TestWaitingForTheTerminal:
    def test_older_requests_about_the_same_user_come_before_the_new_one(self, here: Here) -> None:
        here.older.requests["7"] = [request(90), request(91)]
        here.add(PING, CREATE)

        assert here.taken() == [1, 90, 91, 2]

    def test_requests_stay_in_the_queue_while_the_ledger_cannot_be_read(self, here: Here) -> None:
        here.add(CREATE, CREATE)
        here.older.failure = LedgerUnavailable("disk I/O error")
        with pytest.raises(LedgerUnavailable):
            here.queue.take(2)

        here.older.failure = None

        assert here.taken() == [1, 2]


def test_only_requests_of_this_run_have_a_time_of_arrival(here: Here) -> None:
    here.queue.add([request(1)], resumed=True)
    here.queue.add([request(2)])

    assert here.tasks.arrived == [2]


@pytest.mark.parametrize(
    ("stage", "answered_at_once", "asked_to_end"),
    [
        ("in hand", [1, 2], True),
        ("begun", [], True),
        ("closed", [2], False),
    ],
)
def test_a_cancellation_answers_a_request_at_once_only_before_it_has_begun(
    here: Here, stage: str, answered_at_once: list[int], asked_to_end: bool
) -> None:
    here.add(ENROLL)
    (task,) = here.queue.take(1)
    if stage in ("begun", "closed"):
        assert here.queue.begin(task)
    if stage == "closed":
        task.reply = DONE
        here.queue.close_answered()

    here.queue.add([request(2, CANCEL)])

    assert [each.request.id for each in here.queue.take_ready()] == answered_at_once
    assert task.presence.ended == asked_to_end


def test_a_request_that_was_cancelled_in_hand_never_begins(here: Here) -> None:
    here.add(ENROLL)
    (task,) = here.queue.take(1)
    here.queue.add([request(2, CANCEL)])

    assert not here.queue.begin(task)
    assert not task.begun
    assert here.queue.in_hand == []


def test_a_request_that_is_cancelled_in_the_queue_is_taken_out_unless_an_earlier_run_has_begun_it(here: Here) -> None:
    here.queue.add([request(1, ENROLL)])
    here.queue.add([request(2, CANCEL)])
    assert [each.request.id for each in here.queue.take_ready()] == [1, 2]
    assert here.queue.waiting == 0

    here.queue.add([request(3, ENROLL, tried=({},))], resumed=True)
    here.queue.add([request(4, CANCEL)])
    assert here.queue.take_ready() == []
    (task,) = here.queue.take(1)
    assert task.presence.ended


def test_a_request_that_was_asked_to_end_is_answered_together_with_its_canceller(here: Here) -> None:
    here.add(ENROLL)
    (task,) = here.queue.take(1)
    here.queue.begin(task)
    here.queue.add([request(2, CANCEL)])

    assert here.queue.close_answered() == ([], [])
    task.reply = DONE
    answered, waits = here.queue.close_answered()

    assert ([each.request.id for each in answered], waits) == ([1, 2], [])


def test_an_answered_request_is_in_hand_until_its_reply_is_kept(here: Here) -> None:
    here.add(PING, PING)
    first, second = here.queue.take(2)
    first.reply = DONE
    here.queue.close_answered()
    assert here.queue.in_hand == [first, second]

    here.queue.drop_answered()

    assert here.queue.in_hand == [second]


def test_a_request_that_waits_for_the_terminal_is_in_hand_no_more(here: Here) -> None:
    here.add(CREATE)
    (task,) = here.queue.take(1)
    task.parked = DONE

    assert here.queue.close_answered() == ([], [task])
    here.queue.drop_answered()
    assert here.queue.in_hand == []


def test_a_stop_ends_the_wait_for_a_person_now_in_hand_and_taken_later(here: Here) -> None:
    here.add(ENROLL, ENROLL)
    (first,) = here.queue.take(1)

    here.queue.stop()

    assert first.presence.ended
    (second,) = here.queue.take(1)
    assert second.presence.ended
    assert here.queue.pause(60)  # returns at once


@pytest.mark.parametrize(
    ("prepare", "has_new", "has_work"),
    [
        (lambda _queue: None, False, False),
        (lambda queue: queue.add([request(1)]), True, True),
        (lambda queue: queue.want_probe(wanted=True), True, True),
        (lambda queue: queue.add([request(1, CANCEL)]), True, True),
        (lambda queue: (queue.add([request(1)]), queue.take(1)), False, True),
    ],
    ids=["empty", "a request", "a probe", "a reply without a session", "a request in hand"],
)
def test_a_thread_is_started_for_what_is_new_and_stays_for_what_is_in_hand(
    here: Here, prepare: Callable[..., Any], has_new: bool, has_work: bool
) -> None:
    prepare(here.queue)

    assert (here.queue.has_new, here.queue.has_work) == (has_new, has_work)


def test_a_reply_that_could_not_be_kept_is_still_ready(here: Here) -> None:
    here.add(CANCEL)
    tasks = here.queue.take_ready()
    assert here.queue.take_ready() == []

    here.queue.put_back_ready(tasks)

    assert here.queue.take_ready() == tasks
