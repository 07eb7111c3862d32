"""When a reply is kept, and what becomes of it while the disk is full."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.worker.parts import CREATE, DEVICE, PING, UNLOCK, NoDates, task
from zkbridge.contract.errors import DeviceTimeout, Effect, Forbidden, Internal, OutcomeUnknown, UserExists
from zkbridge.contract.groups import waiting
from zkbridge.contract.messages import Reply, failed, succeeded
from zkbridge.contract.validity import Validity
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.records import Finish, Finished, ValidityChange
from zkbridge.telemetry.events import Answered, Created, DoorAnswered, Trouble
from zkbridge.worker.reply_keeper import ReplyKeeper
from zkbridge.worker.task import Task

CREATED = succeeded({"data": {"user_id": "7"}}, code="created", request_id="r1")
FAULT = failed(Internal("abcd"), "es", request_id="r1")
DATES = Validity(valid_until="2030-01-31T18:00:00")
PARKED = waiting("p", until=1_700_000_000.0, effect="none", why="", language="es")


class Ledger:
    """Keeps what it is given, after it was full so many times."""

    def __init__(self, *, full: int = 0) -> None:
        self.full = full
        self.kept: list[Any] = []

    def finish(
        self,
        finishes: list[Finish],
        *,
        parked: Sequence[Any] = (),
        pending_enable: str | None = None,
        validities: list[ValidityChange],
    ) -> Finished:
        if self.full:
            self.full -= 1
            raise LedgerUnavailable("disk full")
        self.kept.append(([each.request.id for each in finishes], [each.request for each in parked], pending_enable))
        self.dates = validities
        return Finished([], [])


class Facts:
    pending_enable = False


class Here:
    """The keeper with its surroundings: a queue of answered tasks, hooks, events."""

    def __init__(self, *, full: int = 0, stops: bool = False) -> None:
        self.ledger, self.facts, self.dates = Ledger(full=full), Facts(), NoDates()
        self.answered: list[Any] = []
        self.waits: list[Any] = []
        self.ready: list[Task] = []
        self.calls: list[str] = []
        self.events: list[object] = []
        self.parked: list[Any] = []
        self.stops = stops
        self.keeper = ReplyKeeper(
            DEVICE,
            self.ledger,
            facts=self.facts,
            waiting=self,
            dates=self.dates,
            hooks=self,
            events=self.events.append,
        )

    # the queue
    def close_answered(self) -> Any:
        return self.answered, self.waits

    def drop_answered(self) -> None:
        self.calls.append("drop answered")

    def drop_in_hand(self) -> None:
        self.calls.append("drop in hand")

    def take_ready(self) -> list[Any]:
        ready, self.ready = self.ready, []
        return ready

    def put_back_ready(self, tasks: list[Task]) -> None:
        self.ready += tasks

    def pause(self, _seconds: float) -> bool:
        self.calls.append("pause")
        return self.stops

    # the hooks, and what waits for the terminal
    def note_answers(self, _answers: object) -> None:
        self.calls.append("answers")

    def tell_waiting(self, *_: object) -> None:
        pass

    def note_waiting(self, _until: object) -> None:
        self.calls.append("waiting")

    def is_told(self, _task: Task) -> bool:
        return False

    def add(self, parked: Any) -> None:
        self.parked += [each.request for each in parked]


def answered(number: int = 1, command: str = CREATE, reply: Reply = CREATED) -> Task:
    made = task(number, command)
    made.reply = reply
    return made


def test_nothing_is_written_where_nothing_is_answered() -> None:
    here = Here()
    here.keeper.keep_answered(here)
    here.keeper.keep_ready(here)

    assert (here.ledger.kept, here.calls) == ([], [])


@pytest.mark.parametrize(
    ("full", "stops", "kept", "calls"),
    [
        (0, False, True, ["drop answered", "answers"]),
        (2, False, True, ["pause", "pause", "drop answered", "answers"]),
        (2, True, False, ["pause", "drop in hand"]),
    ],
    ids=["room", "a full disk", "a full disk and a stop"],
)
def test_a_reply_is_tried_until_it_is_kept_or_the_bridge_stops(
    full: int, stops: bool, kept: bool, calls: list[str]
) -> None:
    here = Here(full=full, stops=stops)
    here.answered = [answered()]
    here.keeper.keep_answered(here)

    assert bool(here.ledger.kept) == kept
    assert here.calls == calls


def test_a_reply_without_a_session_that_cannot_be_kept_stays_ready() -> None:
    here = Here(full=1)
    here.ready = [answered()]
    with pytest.raises(LedgerUnavailable):
        here.keeper.keep_ready(here)
    assert len(here.ready) == 1

    here.keeper.keep_ready(here)

    assert here.ready == []
    assert here.ledger.kept == [([1], [], None)]


def _timeout(effect: Effect) -> Reply:
    failure = DeviceTimeout(host="h", port=4370)
    failure.effect = effect
    return failed(failure, "es", request_id="r1")


@pytest.mark.parametrize(
    ("reply", "replayed", "kept"),
    [
        (CREATED, False, True),
        (CREATED, True, False),
        (failed(UserExists(user_id="7"), "es", request_id="r1"), False, False),
        (_timeout("none"), False, False),
        (_timeout("unknown"), False, True),
    ],
    ids=["success", "a stored reply", "a refusal", "nothing written", "effect unknown"],
)
def test_dates_are_kept_with_a_reply_unless_nothing_was_written(reply: Reply, *, replayed: bool, kept: bool) -> None:
    here = Here()
    here.answered = [answered(reply=reply)]
    here.answered[0].replayed = replayed
    here.answered[0].dates.change = "7", DATES
    here.keeper.keep_answered(here)

    expected = [ValidityChange("p", "7", DATES)] if kept else []
    assert (here.ledger.dates, here.dates.noted) == (expected, expected)


@pytest.mark.parametrize("was_asked", [True, False])
def test_dates_of_a_request_that_waits_are_kept_if_the_terminal_was_asked(*, was_asked: bool) -> None:
    here = Here()
    waits = task(1)
    waits.parked, waits.asked, waits.dates.change = PARKED, was_asked, ("7", DATES)
    here.waits = [waits]
    here.keeper.keep_answered(here)

    assert here.ledger.dates == ([ValidityChange("p", "7", DATES)] if was_asked else [])


def test_the_commit_of_a_reply_notes_that_the_terminal_may_still_be_disabled() -> None:
    here = Here()
    here.facts.pending_enable = True
    here.answered = [answered()]
    here.keeper.keep_answered(here)

    assert here.ledger.kept == [([1], [], "p")]


def test_replies_and_requests_that_wait_are_one_commit() -> None:
    here = Here()
    parked = task(2)
    parked.parked = PARKED
    here.answered, here.waits = [answered()], [parked]
    here.keeper.keep_answered(here)

    assert here.ledger.kept == [([1], [2], None)]
    assert (here.parked, here.calls) == ([2], ["drop answered", "answers", "waiting"])


@pytest.mark.parametrize(
    ("command", "reply", "replayed", "kinds"),
    [
        (CREATE, CREATED, False, [Answered, Created]),
        (CREATE, CREATED, True, [Answered]),
        (PING, CREATED, False, [Answered]),
        (CREATE, FAULT, False, [Answered, Trouble]),
    ],
    ids=["a new user", "a stored reply", "no user", "a failure"],
)
def test_an_answer_is_reported_as_what_it_means(
    command: str,
    reply: Reply,
    replayed: bool,
    kinds: list[type[Answered | Created | Trouble]],
) -> None:
    here = Here()
    made = answered(1, command, reply)
    made.replayed = replayed
    here.keeper.keep([made])

    assert [type(event) for event in here.events] == kinds


#: What became of an unlock, and what listeners are told of the door.
DOORS: dict[str, tuple[Reply, bool, list[bool | None]]] = {
    "opened": (succeeded({"data": {}}, code="unlocked", request_id=None), False, [True]),
    "a stored reply": (succeeded({"data": {}}, code="unlocked", request_id=None), True, []),
    "forbidden": (failed(Forbidden("door", device="p"), "es"), False, [False]),
    "the answer is lost": (failed(OutcomeUnknown(), "es"), False, [None]),
    "not reached": (failed(DeviceTimeout(host="h", port=1), "es"), False, [False]),
}


@pytest.mark.parametrize("case", DOORS)
def test_listeners_get_the_result_of_a_door_request(case: str) -> None:
    reply, replayed, opened = DOORS[case]
    here = Here()
    made = task(1, UNLOCK, fields={"seconds": 7})
    made.reply, made.replayed = reply, replayed
    here.keeper.keep([made])

    told = [each for each in here.events if isinstance(each, DoorAnswered)]
    assert told == [DoorAnswered(DEVICE.id, 7, each) for each in opened]
