"""With `find`, a sentence about a terminal names the address at which it was talked to, not the configured one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.worker.parts import DEVICE, REPLIES, NoDates, Stored, change, task
from zkbridge.attendance.log_reader import LogReader
from zkbridge.attendance.punch_count import PunchCount
from zkbridge.contract.errors import TerminalError
from zkbridge.machine.clock import SYSTEM
from zkbridge.port.facts import Sizes
from zkbridge.terminal.whereabouts import Whereabouts
from zkbridge.worker.change_maker import ChangeMaker
from zkbridge.worker.planner import Planner
from zkbridge.worker.session_state import SessionState, Written
from zkbridge.worker.table_reading import read_table
from zkbridge.worker.verifier import Verifier

CONFIGURED, FOUND = DEVICE.host, "192.0.2.99"
#: Stands for parts that are not asked.
HERE: Any = SimpleNamespace(config=SimpleNamespace(session_budget=1.0))


def session(**more: Any) -> Any:
    """A conversation that began where the terminal was found."""
    return SimpleNamespace(device=Whereabouts(DEVICE, FOUND).device, **more)


def refusal(call: Callable[[], object]) -> str:
    """The sentence of the error that a call raises."""
    with pytest.raises(TerminalError) as raised:
        call()
    return raised.value.sentence("en")


def a_change_that_comes_too_late() -> str:
    maker = ChangeMaker(
        DEVICE,
        HERE.config,
        HERE,
        requests=HERE,
        planner=HERE,
        replies=REPLIES,
        deadline=HERE,
        events=lambda _event: None,
    )
    return refusal(lambda: maker.ask(session(lapsed=True), SessionState(disables=True), [HERE]))


def a_change_that_the_table_does_not_show() -> str:
    planner = Planner(DEVICE, replies=REPLIES, stored=Stored(), clock=SYSTEM, dates=NoDates())
    verifier = Verifier(DEVICE, replies=REPLIES, planner=planner, access=HERE)
    made = task()
    state = SessionState(disables=True)
    lost = change(kept=lambda _table: False, amiss=lambda _table: None)
    state.written = [Written(made, lost, {"data": {}})]
    verifier.confirm(session(refresh=lambda: None, users=lambda **_: [], count=lambda: None), state)
    assert made.reply is not None
    return made.reply.body.decode()


def a_log_that_has_shrunk() -> str:
    counts: Any = SimpleNamespace(total=lambda _session: 300)
    recorder: Any = SimpleNamespace(count=300)
    reader = LogReader(DEVICE, recorder, counts, HERE)
    return refusal(lambda: reader._must_not_shrink(session(), 0))


def a_terminal_that_counts_no_more() -> str:
    answers = [Sizes(records=7), Sizes()]
    counts, talk = PunchCount(DEVICE), session(extend=lambda _deadline: None, sizes=lambda: answers.pop(0))
    counts.total(talk)
    return refusal(lambda: counts.total(talk))


def a_table_that_takes_too_long() -> str:
    quick: dict[str, Any] = {"read_ahead": lambda: None, "users": lambda **_: None}
    never_in_time = session(keep_disabled=lambda *_, **__: False, **quick)
    return refusal(lambda: read_table(never_in_time, session_budget=1))


def a_commands_own_refusal() -> str:
    planner = Planner(DEVICE, replies=REPLIES, stored=Stored(), clock=SYSTEM, dates=NoDates())
    asked = task()
    addresses: list[str] = []

    def run(_session: object, _params: object, context: Any) -> dict[str, Any]:
        addresses.append(context.device.host)
        return {"data": {}}

    asked.command = asked.command._replace(run=run)
    planner.plan(session(), SessionState(disables=True), asked)
    return addresses[0]


@pytest.mark.parametrize(
    "told",
    [
        a_change_that_comes_too_late,
        a_change_that_the_table_does_not_show,
        a_log_that_has_shrunk,
        a_terminal_that_counts_no_more,
        a_table_that_takes_too_long,
        a_commands_own_refusal,
    ],
)
def test_the_sentence_names_the_address_that_was_used(told: Callable[[], str]) -> None:
    sentence = told()

    assert FOUND in sentence
    assert CONFIGURED not in sentence
