"""In which order a change is begun, noted and asked for, and what ends a session."""

import contextlib
from contextlib import nullcontext
from typing import Any

import pytest

from tests.unit.worker.parts import CONFIG, CREATE, DEVICE, ENROLL, REPLIES, UNLOCK, NoDates, Stored, change, task
from zkbridge.contract.errors import DeviceFull, DeviceRejected, DeviceTimeout, TerminalError
from zkbridge.machine.clock import SYSTEM
from zkbridge.telemetry.events import DoorAsked, Event
from zkbridge.worker.change_maker import ChangeMaker
from zkbridge.worker.planner import Planned, Planner
from zkbridge.worker.session_state import SessionState
from zkbridge.worker.task import Task

LOST = DeviceTimeout(host="h", port=1)
FULL = DeviceFull(host="h", port=1)
#: An answer that is too long: the terminal may have done what it was asked, and the conversation is over.
TOO_LONG = DeviceRejected("too_much", host="h", port=1, detail="")
TOO_LONG.ends_session = True


class Here:
    """A session, a queue and a ledger that write down what they are asked for; `cancelled` are ids of requests."""

    device = DEVICE

    def __init__(self, *, cancelled: tuple[()] | set[int] = (), lapsed: bool = False, disabled_s: float = 0.0) -> None:
        self.calls: list[Any] = []
        self.cancelled = cancelled
        self.lapsed = lapsed
        self.ended = False
        self.disabled_s = disabled_s
        planner = Planner(DEVICE, replies=REPLIES, stored=Stored(), clock=SYSTEM, dates=NoDates())
        self.events: list[Event] = []
        self.maker = ChangeMaker(
            DEVICE,
            CONFIG,
            self,
            requests=self,
            planner=planner,
            replies=REPLIES,
            deadline=self,
            events=self.events.append,
        )

    def begin(self, made: Task) -> bool:
        self.calls.append(f"begin {made.request.id}")
        return made.request.id not in self.cancelled

    def running(self, intents: list[tuple[int, Any]]) -> None:
        self.calls.append(f"note {[number for number, _ in intents]}")

    def extended(self, _seconds: float) -> nullcontext[None]:
        return contextlib.nullcontext()

    def users(self) -> list[str]:
        return ["one", "two"]

    def disabled_for(self) -> float:
        return self.disabled_s

    def planned(
        self, number: int = 1, command: str = CREATE, result: DeviceFull | DeviceRejected | DeviceTimeout | None = None
    ) -> Planned:
        def apply() -> dict[str, dict[str, str]]:
            self.calls.append(f"ask {number}")
            if result is not None:
                raise result
            return {"data": {"user_id": "7", "device_id": "p"}}

        return Planned(task(number, command), change()._replace(apply=apply))

    def make(self, *planned: Any, state: SessionState | None = None) -> bool:
        state = state or SessionState(disables=True)
        return self.maker.ask(self, state, self.maker.note(self, state, list(planned)))


def code(planned: Planned) -> str | None:
    return None if planned.task.reply is None else planned.task.reply.code


def test_all_changes_are_begun_then_noted_with_one_commit_and_then_asked_for() -> None:
    here = Here()

    assert here.make(here.planned(1), here.planned(2))
    assert here.calls == ["begin 1", "begin 2", "note [1, 2]", "ask 1", "ask 2"]


def test_a_door_is_reported_before_the_terminal_is_asked() -> None:
    here = Here()
    door = here.planned(1, UNLOCK)
    door.task.arrived = float("inf")
    here.make(door, state=SessionState(disables=False))
    here.make(here.planned(2))

    assert here.events == [DoorAsked(DEVICE.id)]


def test_a_change_that_was_cancelled_is_neither_noted_nor_asked_for() -> None:
    here = Here(cancelled={1})
    here.make(here.planned(1), here.planned(2))
    assert here.calls[2:] == ["note [2]", "ask 2"]

    alone = Here(cancelled={1})
    alone.make(alone.planned(1))
    assert alone.calls == ["begin 1"]


def test_the_users_are_counted_before_the_first_change() -> None:
    here, state = Here(), SessionState(disables=True)
    here.make(here.planned(1), state=state)

    assert state.count_before == 2


#: Whether the time is lapsed, for how long it was disabled, whether a change was asked before: what happens.
ENDS = {
    "time enough": (False, 0.0, False, ["ask 1"], True),
    "the budget is used up before the first": (False, CONFIG.session_budget, False, ["ask 1"], False),
    "the budget is used up": (False, CONFIG.session_budget, True, [], False),
    "it may have enabled itself": (True, 0.0, True, [], False),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_session_ends_when_its_time_is_used_up_but_does_one_change(case: str) -> None:
    lapsed, disabled_s, asked_before, asked, goes_on = ENDS[case]
    here = Here(lapsed=lapsed, disabled_s=disabled_s)

    assert here.make(here.planned(1), state=SessionState(disables=True, asked=int(asked_before))) == goes_on
    assert [call for call in here.calls if call.startswith("ask")] == asked


def test_nothing_is_asked_after_a_change_that_ended_the_connection() -> None:
    here = Here()

    def end() -> dict[str, Any]:
        here.ended = True
        return {"data": {}}

    restart = here.planned(1)
    restart = restart._replace(change=restart.change._replace(apply=end))

    assert not here.make(restart, here.planned(2))
    assert here.calls == ["begin 1", "begin 2", "note [1, 2]"]


def test_a_terminal_that_may_have_enabled_itself_before_the_first_change_is_a_failure() -> None:
    here = Here(lapsed=True)
    with pytest.raises(DeviceTimeout):
        here.make(here.planned(1))

    assert here.calls == ["begin 1", "note [1]"]


@pytest.mark.parametrize(
    ("command", "result", "raised", "reply", "asked"),
    [
        (CREATE, None, False, None, True),  # the reply waits for the comparison at the session's end
        (CREATE, FULL, False, "device_full", False),
        (CREATE, LOST, True, None, True),
        (UNLOCK, LOST, True, "outcome_unknown", True),
        (ENROLL, LOST, True, None, True),
        (CREATE, TOO_LONG, True, None, True),
        (UNLOCK, TOO_LONG, True, "outcome_unknown", True),
    ],
    ids=["done", "refused", "lost", "a door, lost", "attended, lost", "too long", "a door, too long"],
)
def test_what_the_terminal_answers_decides_the_reply(
    command: str,
    result: DeviceFull | DeviceRejected | DeviceTimeout | None,
    raised: bool,
    reply: str | None,
    asked: bool,
) -> None:
    here = Here()
    planned = here.planned(1, command, result)
    planned.task.arrived = float("inf")  # never late
    with pytest.raises(TerminalError) if raised else contextlib.nullcontext():
        here.make(planned)

    assert (code(planned), planned.task.asked) == (reply, asked)


def test_a_change_that_no_table_shows_is_answered_at_once() -> None:
    here = Here()
    planned = here.planned(1, UNLOCK)
    planned.task.arrived = float("inf")
    here.make(planned, state=SessionState(disables=False))

    assert code(planned) == "unlocked"


def test_a_door_request_that_became_late_is_not_asked_for() -> None:
    here = Here()
    planned = here.planned(1, UNLOCK)
    planned.task.arrived = None
    here.make(planned, state=SessionState(disables=False))

    assert code(planned) == "expired"
    assert "ask 1" not in here.calls
