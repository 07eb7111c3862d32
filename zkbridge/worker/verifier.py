"""Finds out whether the terminal holds the changes that it was asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from zkbridge.commands import Change
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected, TerminalError
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session
from zkbridge.worker.planner import Planner
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.session_state import SessionState
from zkbridge.worker.task import Task
from zkbridge.worker.terminal_access import TerminalAccess

log = logging.getLogger(__name__)


class Verifier:
    """Compares changes with what the terminal shows: at the end of a session, and after one that broke."""

    def __init__(self, device: Device, *, replies: ReplyMaker, planner: Planner, access: TerminalAccess) -> None:
        self._device = device
        self._replies = replies
        self._planner = planner
        self._access = access

    def confirm(self, session: Session, state: SessionState) -> None:
        """Refresh, and give each written change its reply by what the terminal shows.

        The terminal's count is enough where it grew by users whom it is known to keep as they are written; else the
        table is read.
        """
        if not state.written:
            return
        session.refresh()
        table = None if self._is_shown_by_count(session, state) else session.users(again=True)
        for task, change, body in state.written:
            if table is None or change.kept(table):
                task.reply = self._replies.succeeded(task, body)
            else:
                task.reply = self._replies.failed(task.request, change.amiss(table) or _lost(session, change))

    def settle(self, tasks: Sequence[Task], deadline: Deadline) -> None:
        """Read the terminal once more after a broken session, and answer by it what it shows.

        Where the refresh or the sizes fail, only the table is read: it cannot show that a change was not made, but
        what it holds is there. Raises Interrupted when the bridge stops: then the next start reads.
        """
        for counted in (True, False):
            if not any(task.is_unsettled for task in tasks):
                return
            session = self._access.open_to_look(deadline)
            try:
                with session:
                    self.look(session, tasks, counted=counted)
            except TerminalError as failure:
                log.warning("device=%s cannot be read again: %s", self._device.id, failure)
            else:
                return

    def look(self, session: Session, tasks: Sequence[Task], *, counted: bool) -> None:
        """Answer the unsettled tasks that the table shows; `counted`: refresh first, and compare it with the sizes.

        A table that is short of users that are counted cannot show either that a change was not made.
        """
        if counted:
            session.refresh()
            counted = not session.users().hidden
        else:
            session.read_unverified()
        state = SessionState(disables=False)
        for task in [each for each in tasks if each.is_unsettled]:
            change = self._planner.plan(session, state, task)
            if change is not None and counted and not change.begun:
                task.asked = False  # a terminal does one thing after the other: it never came to writing this

    def _is_shown_by_count(self, session: Session, state: SessionState) -> bool:
        if state.count_before is None or not all(change.counts() for _, change, _ in state.written):
            return False
        count, expected = session.count(), state.count_before + sum(change.grows for _, change, _ in state.written)
        if count != expected:
            counted = "no" if count is None else count
            log.warning("device=%s counts %s users, not %d; reading its table", self._device.id, counted, expected)
        return count == expected


def _lost(session: Session, change: Change) -> DeviceRejected:
    lost = DeviceRejected(change.lost, host=session.device.host, port=session.device.port)
    lost.effect = "unknown"  # the terminal confirmed it; some show it after a restart only (kamshory/ZKLibrary#131)
    return lost
