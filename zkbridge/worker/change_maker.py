"""Notes changes in the ledger, then asks the terminal for them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import BridgeError, DeviceTimeout, OutcomeUnknown, TerminalError
from zkbridge.telemetry.events import DoorAsked, EventSink
from zkbridge.terminal.session import Session
from zkbridge.worker.conversation_deadline import ConversationDeadline
from zkbridge.worker.planner import Planned, Planner
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.request_queue import RequestQueue
from zkbridge.worker.session_state import SessionState, Written


class IntentNotes(Protocol):
    """Where it is noted what the terminal is about to be asked for."""

    def running(self, intents: Iterable[tuple[int, object]], /) -> None:
        """Note the intent of each request, with one commit. Raises LedgerUnavailable."""


class ChangeMaker:
    """Makes changes in one session: `note` first, `ask` after that."""

    def __init__(
        self,
        device: Device,
        config: Config,
        ledger: IntentNotes,
        *,
        requests: RequestQueue,
        planner: Planner,
        replies: ReplyMaker,
        deadline: ConversationDeadline,
        events: EventSink,
    ) -> None:
        self._device = device
        self._session_budget = config.session_budget
        self._ledger = ledger
        self._requests = requests
        self._planner = planner
        self._replies = replies
        self._deadline = deadline
        self._events = events

    def note(self, session: Session, state: SessionState, planned: list[Planned]) -> list[Planned]:
        """Note the changes on disk, without those that were just cancelled; the terminal may then be asked for them.

        Raises LedgerUnavailable.
        """
        changes = [each for each in planned if self._requests.begin(each.task)]
        if not changes:
            return []
        if state.disables and state.count_before is None:
            state.count_before = len(session.users())
        self._ledger.running((task.request.id, change.intent) for task, change in changes)
        return changes

    def ask(self, session: Session, state: SessionState, changes: list[Planned]) -> bool:
        """Ask the terminal for changes that were noted; False when the session has used up its time.

        Raises ConnectionFailure or DeviceAuthFailed.
        """
        for planned in changes:
            if session.lapsed and not state.asked:
                raise DeviceTimeout(host=session.device.host, port=session.device.port)
            if session.ended or session.lapsed or (state.asked and self._is_spent(session, state)):
                return False
            self._apply(state, planned)
        return not (session.ended or self._is_spent(session, state))

    def _is_spent(self, session: Session, state: SessionState) -> bool:
        """Whether the session has used up its time: people wait at the terminal, or other requests do."""
        seconds = session.disabled_for() if state.disables else time.monotonic() - state.began
        return seconds >= self._session_budget

    def _apply(self, state: SessionState, planned: Planned) -> None:
        task, change = planned
        if not task.command.repeatable and self._planner.is_late(task):
            task.reply = self._planner.expired(task)
            return
        state.asked += 1
        task.asked = True
        task.tried = (*task.tried, change.intent)
        if task.command.opens_s is not None:
            self._events(DoorAsked(self._device.id))
        try:
            with self._deadline.extended(task.params.lasts_s()):
                body = change.apply()
        except BridgeError as refusal:
            if isinstance(refusal, TerminalError) and refusal.ends_session:
                if not task.command.repeatable and not task.command.attended:
                    task.reply = self._replies.failed(task.request, OutcomeUnknown())
                raise
            task.asked = False
            task.reply = self._replies.failed(task.request, refusal)
        else:
            if state.disables:
                state.written.append(Written(task, change, body))
            else:
                task.reply = self._replies.succeeded(task, body)  # it is no user: no table can show it
