"""Runs one session with a terminal, from the first request to the replies that are kept."""

from __future__ import annotations

import time

from zkbridge.config.models import Config
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session
from zkbridge.worker.change_maker import ChangeMaker
from zkbridge.worker.planner import Planner
from zkbridge.worker.reply_keeper import ReplyKeeper
from zkbridge.worker.request_queue import RequestQueue
from zkbridge.worker.session_state import SessionState
from zkbridge.worker.table_reading import read_table
from zkbridge.worker.task import Task
from zkbridge.worker.terminal_access import TerminalAccess
from zkbridge.worker.terminal_facts import TerminalFacts
from zkbridge.worker.verifier import Verifier

#: How many changes are noted as running in one commit; more could stand noted but unasked when the time is used up.
ROUND = 64


class SessionRunner:
    """Holds sessions, one after the other, each with the requests of one kind."""

    def __init__(
        self,
        config: Config,
        *,
        requests: RequestQueue,
        access: TerminalAccess,
        facts: TerminalFacts,
        planner: Planner,
        changes: ChangeMaker,
        verifier: Verifier,
        keeper: ReplyKeeper,
    ) -> None:
        self._session_budget = config.session_budget
        self._requests = requests
        self._access = access
        self._facts = facts
        self._planner = planner
        self._changes = changes
        self._verifier = verifier
        self._keeper = keeper

    def run(self, deadline: Deadline, *, catching_up: bool = False) -> None:
        """Hold a session for the request that comes first, and for those that it can share it with.

        Raises TerminalError, LedgerUnavailable, and Interrupted when the bridge stops.
        """
        first = self._requests.first()
        if first is None:
            return
        disables = first.disables
        began, entered = time.monotonic(), False
        session = self._access.open(deadline, disables=disables)
        try:
            with session:
                entered = True
                self._facts.note_reached()
                if disables:
                    self._prepare_table(session)
                state = SessionState(disables, first.attended, alone=catching_up)
                self._work(session, state)
                self._verifier.confirm(session, state)
                session.begin_to_enable()
                # Replies need not wait for the terminal's answer; until it comes, the ledger has the pending enable.
                self._conclude(session)
        finally:
            self._conclude(session)
            if entered:
                self._facts.note_session_end(time.monotonic() - began, session.disabled_s if disables else None)

    def _conclude(self, session: Session) -> None:
        self._facts.learn_from(session)
        self._keeper.keep_answered(self._requests)

    def _prepare_table(self, session: Session) -> None:
        if any(task.asked for task in self._requests.in_hand):
            session.refresh()  # some terminals show a written user only then
        read_table(session, session_budget=self._session_budget)

    def _work(self, session: Session, state: SessionState) -> None:
        """Rounds of planning, one commit, asking; until nothing is left or the time is used up."""
        passed_over: set[int] = set()
        while tasks := self._next_tasks(state, passed_over):
            with self._planner.provisional_plan(session, state, tasks):
                planned, later = self._planner.plan_all(session, state, tasks)
                changes = self._changes.note(session, state, planned)
                if not session.verify_counts():
                    continue
            passed_over |= later
            if not self._changes.ask(session, state, changes):
                return

    def _next_tasks(self, state: SessionState, passed_over: set[int]) -> list[Task]:
        in_hand = self._requests.in_hand
        tasks = [task for task in in_hand if task.is_open and task.request.id not in passed_over]
        if not tasks and state.takes_more and not self._requests.stopping:
            tasks = self._requests.take(ROUND, disables=state.disables)
        return tasks[:ROUND]
