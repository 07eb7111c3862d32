"""What the planner decides for a request: a reply at once, a change, or another session."""

import json
import time
from typing import Any

import pytest

from tests.unit.worker.parts import (
    COMMANDS,
    CREATE,
    DEVICE,
    ENROLL,
    LIST,
    REPLIES,
    UNLOCK,
    NoDates,
    Stored,
    change,
    task,
)
from zkbridge.commands import Change
from zkbridge.contract.errors import ClockUntrusted, DeviceRejected, DeviceTimeout, UserNotFound
from zkbridge.contract.messages import Reply, failed, succeeded
from zkbridge.worker.planner import Planner
from zkbridge.worker.session_state import SessionState
from zkbridge.worker.task import Task

NOW = 1_700_000_000.0
DONE = succeeded({"data": {}}, code="created", request_id="r0")
REFUSED = failed(UserNotFound(user_id="7"), "es", request_id="r0")
BODY = {"data": {"user_id": "7", "device_id": "p"}}
CHANGE = change()


class Clock:
    def now(self) -> float:
        return NOW


class Session:
    """A session of which the planner only asks whether its table is compared with the terminal's count."""

    device = DEVICE

    def __init__(self, *, is_verified: bool = True) -> None:
        self.is_verified = is_verified
        self.table = object()

    def users(self) -> object:
        return self.table


def planner(**stored: Any) -> Planner:
    replies = {int(number[1:]): reply for number, reply in stored.items()}
    return Planner(DEVICE, replies=REPLIES, stored=Stored(replies), clock=Clock(), dates=NoDates())


def plan(made: Task, *, touched: tuple[()] | set[str] = (), **stored: Any) -> tuple[Any, SessionState]:
    state = SessionState(disables=True, touched=set(touched))
    return planner(**stored).plan(Session(), state, made), state


def code(made: Task) -> str | None:
    return None if made.reply is None else made.reply.code


class TestReplyOrChange:
    def test_a_change_is_returned_and_its_key_changed(self) -> None:
        made = task(run=CHANGE)

        planned, state = plan(made)

        assert (planned, made.reply, state.touched) == (CHANGE, None, {"7"})

    def test_a_body_is_the_reply(self) -> None:
        made = task(run=BODY)

        assert plan(made)[0] is None
        assert code(made) == COMMANDS[CREATE].code

    @pytest.mark.parametrize(("asked", "effect"), [(False, "none"), (True, "unknown")])
    def test_a_clock_that_was_lost_leaves_open_what_an_earlier_attempt_wrote(self, *, asked: bool, effect: str) -> None:
        made = task(run=ClockUntrusted("validity"))
        made.asked = asked

        plan(made)

        assert made.reply is not None
        assert (made.reply.code, made.reply.open_effect) == ("clock_untrusted", effect)

    def test_a_refusal_is_the_reply(self) -> None:
        made = task(run=UserNotFound(user_id="7"))

        assert plan(made)[0] is None
        assert code(made) == "user_not_found"

    def test_a_lost_connection_is_the_failure_of_the_session(self) -> None:
        made = task(run=DeviceTimeout(host="h", port=1))

        with pytest.raises(DeviceTimeout):
            plan(made)
        assert made.reply is None

    def test_a_second_change_of_one_user_needs_another_session(self) -> None:
        made = task(run=CHANGE)

        assert plan(made, touched={"7"})[0] is None
        assert made.reply is None


#: Of a request: its command, whether the terminal was asked for it, the request that it may be a second delivery of,
#: and that one's reply. What becomes of it: a change, or the code of its reply; and whether that is the stored one.
TWICE = {
    "repeatable, new": (CREATE, False, None, None, "change", False),
    "repeatable, asked": (CREATE, True, None, None, "change", False),
    "repeatable, second delivery of a success": (CREATE, False, 9, DONE, "change", False),
    "door, new": (UNLOCK, False, None, None, "change", False),
    "door, asked": (UNLOCK, True, None, None, "outcome_unknown", False),
    "door, second delivery of an answered one": (UNLOCK, False, 9, DONE, "created", True),
    "door, second delivery of a refused one": (UNLOCK, False, 9, REFUSED, "user_not_found", True),
    "door, second delivery of an unanswered one": (UNLOCK, False, 9, None, "outcome_unknown", False),
    "attended, new": (ENROLL, False, None, None, "change", False),
    "attended, asked": (ENROLL, True, None, None, "change", False),
    "attended, second delivery": (ENROLL, False, 9, None, "outcome_unknown", False),
}


def test_a_second_delivery_for_a_door_waits_until_the_first_one_has_its_reply() -> None:
    first, second = task(1, UNLOCK, run=CHANGE), task(2, UNLOCK, run=CHANGE, suspect_of=1)
    third = task(3, UNLOCK, run=CHANGE, suspect_of=2)
    first.arrived = second.arrived = third.arrived = None  # kept by an earlier run: too late for a door
    state = SessionState(disables=False)

    planned, later = planner().plan_all(Session(), state, [first, second, third])
    again = planner(r1=first.reply).plan(Session(), SessionState(disables=False), second)

    assert (planned, later, code(first)) == ([], {2, 3}, "expired")
    assert (again, second.reply, second.replayed) == (None, first.reply, True)


@pytest.mark.parametrize("case", TWICE)
def test_what_must_not_happen_twice_is_answered_without_the_terminal(case: str) -> None:
    command, asked, suspect_of, earlier, outcome, replayed = TWICE[case]
    made = task(command=command, run=CHANGE, suspect_of=suspect_of)
    made.asked, made.arrived = asked, time.monotonic()

    planned, _ = plan(made, **({"_9": earlier} if earlier else {}))

    assert ("change" if isinstance(planned, Change) else code(made)) == outcome
    assert made.replayed == replayed


@pytest.mark.parametrize(
    ("command", "earlier", "outcome", "replayed"),
    [
        (CREATE, DONE, DONE, True),
        (CREATE, REFUSED, None, False),
        (CREATE, None, None, False),
        (LIST, DONE, None, False),
    ],
)
def test_a_second_delivery_gets_the_stored_success_of_a_change_that_the_terminal_shows(
    command: str, earlier: Reply | None, outcome: Reply | None, replayed: bool
) -> None:
    made = task(command=command, run=BODY, suspect_of=9)

    plan(made, **({"_9": earlier} if earlier else {}))

    assert made.replayed == replayed
    assert (made.reply is outcome) == (outcome is not None)


@pytest.mark.parametrize("asked", [True, False])
def test_a_second_delivery_waits_until_the_reply_that_was_found_by_reading_is_kept(asked: bool) -> None:
    first = task(command=CREATE, run=BODY, tried=({"uid": 4},) if asked else ())

    _, state = plan(first)

    assert first.reply is not None
    assert state.touched == ({"7"} if asked else set())


def test_a_third_delivery_waits_until_the_stored_reply_of_the_second_is_kept() -> None:
    second = task(command=CREATE, run=BODY, suspect_of=9)

    _, state = plan(second, _9=DONE)

    assert (second.reply, state.touched) == (DONE, {"7"})


@pytest.mark.parametrize("found", [UserNotFound(user_id="7"), BODY])
def test_a_change_waits_until_the_reply_before_it_of_the_same_user_is_kept(found: Any) -> None:
    """After a crash that reply would be found anew, by what the change has made of the user."""
    answered, change, last = task(1, run=found), task(2, run=CHANGE), task(3, run=UserNotFound(user_id="7"))
    state = SessionState(disables=True)

    planned, later = planner().plan_all(Session(), state, [answered, change, last])

    assert answered.reply is not None
    assert (planned, later) == ([], {2, 3}), "and what comes behind the change waits with it"


@pytest.mark.parametrize(
    ("expires_at", "asked", "outcome"),
    [
        (None, False, "change"),
        (NOW + 1, False, "change"),
        (NOW, False, "expired"),
        (NOW - 1, False, "expired"),
        (NOW - 1, True, "change"),  # the terminal may have it: it must be looked for there
    ],
)
def test_a_request_expires_unless_the_terminal_was_asked_for_it(
    expires_at: float | None, asked: bool, outcome: str
) -> None:
    made = task(run=CHANGE, expires_at=expires_at)
    made.asked = asked

    planned, _ = plan(made)

    assert ("change" if isinstance(planned, Change) else code(made)) == outcome


@pytest.mark.parametrize(("begun", "outcome"), [(False, "expired"), (True, None)])
def test_what_was_asked_for_in_time_is_not_begun_anew_after_it_has_expired(begun: bool, outcome: str | None) -> None:
    made = task(run=change(begun=begun), expires_at=NOW - 1, tried=({"uid": 4},))

    planned, later = planner().plan_all(Session(), SessionState(disables=True), [made])

    assert (code(made), len(planned), later) == (outcome, int(begun), set()), "what was begun is finished"


@pytest.mark.parametrize(
    ("age_s", "late"),
    [(0.0, False), (DEVICE.door.max_age - 1, False), (DEVICE.door.max_age + 1, True), (None, True)],
    ids=["new", "young", "old", "of an earlier run"],
)
def test_a_door_is_opened_only_for_a_request_of_this_run_that_is_young(age_s: float | None, late: bool) -> None:
    made = task(command=UNLOCK)
    made.arrived = None if age_s is None else time.monotonic() - age_s

    assert planner().is_late(made) == late


def test_a_round_gives_changes_replies_and_requests_for_another_session() -> None:
    first, second, third = task(1, run=CHANGE), task(2, run=CHANGE), task(3, LIST, run=BODY)

    changes, later = planner().plan_all(Session(), SessionState(disables=True), [first, second, third])

    assert changes == [(first, CHANGE)]
    assert later == {2}
    assert code(third) == COMMANDS[LIST].code


class TestProvisionalPlan:
    @pytest.mark.parametrize(
        ("before", "after", "same_table", "kept"),
        [
            (True, True, True, True),
            (False, True, True, True),
            (False, True, False, False),
            (False, False, True, False),
        ],
        ids=["verified before", "verified meanwhile", "read anew", "still not verified"],
    )
    def test_a_plan_is_undone_unless_its_table_is_what_the_terminal_counts(
        self, before: bool, after: bool, same_table: bool, kept: bool
    ) -> None:
        session, state, made = Session(is_verified=before), SessionState(disables=True), task()
        with planner().provisional_plan(session, state, [made]):
            made.reply, made.replayed, state.count_before = DONE, True, 3
            state.touched.add("7")
            session.is_verified = after
            if not same_table:
                session.table = object()

        assert (made.reply is DONE, made.replayed, state.touched, state.count_before) == (
            (True, True, {"7"}, 3) if kept else (False, False, set(), None)
        )

    def test_a_plan_is_undone_when_the_terminal_fails(self) -> None:
        made = task()
        with pytest.raises(DeviceRejected):
            self.plan_and_fail(made)

        assert made.reply is None

    def plan_and_fail(self, made: Task) -> None:
        with planner().provisional_plan(Session(is_verified=False), SessionState(disables=True), [made]):
            made.reply = DONE
            raise DeviceRejected("table", host="h", port=1, detail="short")


def test_the_reply_of_a_late_request_has_the_time_of_its_expiry() -> None:
    made = task(expires_at=NOW)

    assert json.loads(planner().expired(made).body)["code"] == "expired"
