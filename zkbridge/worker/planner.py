"""Decides what a request needs before the terminal is asked to change anything."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from zkbridge.commands import Change, Context, HandOver
from zkbridge.commands.api.backlog import NoBacklog, PunchBacklog
from zkbridge.commands.api.backups import Backups
from zkbridge.commands.api.claims import Claims, NoClaims
from zkbridge.commands.api.dates import UserDates
from zkbridge.config.models import Device, Policy
from zkbridge.contract.errors import (
    BridgeError,
    ClockUntrusted,
    ConnectionFailure,
    DeviceAuthFailed,
    DeviceRejected,
    Expired,
    OutcomeUnknown,
    TerminalError,
)
from zkbridge.contract.messages import Reply
from zkbridge.contract.validity import Validity
from zkbridge.contract.wrong_device import WrongDevice
from zkbridge.machine.clock import Clock
from zkbridge.terminal.session import Session
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.session_state import SessionState
from zkbridge.worker.task import Task


class StoredReplies(Protocol):
    """The replies of earlier requests, as the ledger has them."""

    def reply_of(self, request: int, /) -> Reply | None:
        """The reply of a request that was answered; None for any other. Raises LedgerUnavailable."""


class KeptDates(Protocol):
    """The dates of the device's users; see Dates."""

    @property
    def kept(self) -> Mapping[str, Validity]:
        """The dates that are still to be carried out, by user_id."""


class Planned(NamedTuple):
    """A change to make for a task."""

    task: Task
    change: Change


class DeviceFiles(NamedTuple):
    """What is kept of a device beside its requests: its backups, and whom documents have named on it."""

    backups: Backups | None = None
    claims: Claims = NoClaims()


class Planner:
    """Decides for each task of a device: a reply at once, a change to make, or a later session."""

    def __init__(
        self,
        device: Device,
        *,
        replies: ReplyMaker,
        stored: StoredReplies,
        clock: Clock,
        dates: KeptDates,
        backlog: PunchBacklog | None = None,
        policy: Policy | None = None,
        kept: DeviceFiles | None = None,
    ) -> None:
        self._device = device
        self._dates = dates
        self._replies = replies
        self._stored = stored
        self._clock = clock
        self._backlog = backlog or NoBacklog()
        self._policy = policy or Policy()
        self._kept = kept or DeviceFiles()

    def plan_all(self, session: Session, state: SessionState, tasks: list[Task]) -> tuple[list[Planned], set[int]]:
        """The changes to make, and the ids of the requests that need another session."""
        changes, later = [], set()
        for task in tasks:
            change = self.plan(session, state, task)
            if change is not None and not change.begun and self.is_late(task):
                task.reply = self.expired(task)  # it was asked for in time, and the table shows that nothing came of it
            elif change is not None:
                changes.append(Planned(task, change))
            elif task.is_open:
                later.add(task.request.id)
        return changes, later

    def plan(self, session: Session, state: SessionState, task: Task) -> Change | None:
        """The change to make; None where the task has its reply now, or, without one, needs another session.

        Raises ConnectionFailure, DeviceAuthFailed or WrongDevice of the terminal, and LedgerUnavailable.
        """
        if not task.command.repeatable and self._is_left_undone(state, task):
            return None
        if not task.asked and self.is_late(task):
            task.reply = self.expired(task)
            return None
        key = task.params.key
        if key in state.touched:
            return None
        earlier = self._earlier_success(task)
        task.dates = UserDates(self._device.timezone, self._clock, self._dates.kept)
        try:
            outcome = task.command.run(session, task.params, self._context(session.device, task, earlier))
        except (ConnectionFailure, DeviceAuthFailed, WrongDevice):
            raise
        except BridgeError as refusal:
            self._refuse(task, refusal)
            state.note_answer(key)
            return None
        if isinstance(outcome, Change):
            return outcome if state.claim(key) else None
        if isinstance(outcome, HandOver):
            task.handing_over = outcome
        else:
            task.reply = earlier or self._replies.succeeded(task, outcome)
            task.replayed = earlier is not None
            # A broker's next delivery of it must find this reply kept.
            state.note_answer(key, is_last=task.asked or earlier is not None)
        return None

    def _refuse(self, task: Task, refusal: BridgeError) -> None:
        """Answer with a refusal. Raises it where what an earlier attempt has written is settled by reading."""
        if task.asked and isinstance(refusal, TerminalError) and refusal.ends_session:
            raise refusal
        if task.asked and isinstance(refusal, DeviceRejected) and refusal.reason == "table":
            refusal.effect = "unknown"  # the user may be one whom the terminal does not show
        if task.asked and isinstance(refusal, ClockUntrusted):
            # The clock was trusted when an earlier attempt began to write.
            refusal.more = {**refusal.more, "effect": "unknown"}
        task.reply = self._replies.failed(task.request, refusal)

    @contextmanager
    def provisional_plan(self, session: Session, state: SessionState, tasks: list[Task]) -> Iterator[None]:
        """Plan by a table that is not yet compared with the terminal's count; undo the plan if they differ.

        So the disk is written while the terminal frees its copy of the table. The note of a plan that is undone does
        no harm: it is one more attempt without effect.
        """
        if session.is_verified:
            yield
            return
        table = session.users()
        try:
            yield
        finally:
            if not session.is_verified or session.users() is not table:
                for task in tasks:
                    task.reply, task.replayed, task.handing_over = None, False, None
                state.touched.clear()
                state.answered.clear()
                state.planned.clear()
                state.count_before = None

    def is_late(self, task: Task) -> bool:
        """Whether the request has expired, or is older than its command allows.

        A maximum age is not left to the wall clock: that may be set back, and a machine without a battery clock starts
        in the past. So a request of an earlier run is late where there is one, whatever its age seems to be.
        """
        if task.request.expires_at is not None and task.request.expires_at <= self._clock.now():
            return True
        max_age_s = task.params.max_age_s(self._device)
        return max_age_s is not None and (task.arrived is None or time.monotonic() - task.arrived >= max_age_s)

    def expired(self, task: Task) -> Reply:
        """The reply to a request that is late."""
        return self._replies.failed(task.request, Expired.at(task.request.expires_at or self._clock.now()))

    def _context(self, device: Device, task: Task, earlier: Reply | None) -> Context:
        """What a command is given; `device` is the one of the session, at the address where its terminal is."""
        return Context(
            device,
            asked_before=task.asked or earlier is not None,
            tried=task.tried,
            room=self._replies.room_for_rows(task),
            presence=task.presence,
            clock=self._clock,
            backlog=self._backlog,
            dates=task.dates,
            policy=self._policy,
            **({} if self._kept.backups is None else {"backups": self._kept.backups}),
            claims=self._kept.claims,
            language=self._replies.language_of(task.request),
        )

    def _is_left_undone(self, state: SessionState, task: Task) -> bool:
        """Whether a request that must not be done twice has its reply now, or waits for that of its first delivery."""
        is_repetition = task.request.suspect_of in state.planned
        state.planned.add(task.request.id)  # also of a repetition: a third delivery waits for it in its turn
        if is_repetition:
            return True  # the first delivery's reply is kept at the end of this session
        task.reply = self._instead_of_twice(task)
        return task.reply is not None

    def _instead_of_twice(self, task: Task) -> Reply | None:
        """The reply to a request that must not be done twice and may have been done; None where it was not."""
        if task.request.suspect_of is not None:
            earlier = self._stored.reply_of(task.request.suspect_of)
            task.replayed = earlier is not None
            return earlier or self._replies.failed(task.request, OutcomeUnknown())
        if task.asked and not task.command.attended:
            return self._replies.failed(task.request, OutcomeUnknown())
        return None

    def _earlier_success(self, task: Task) -> Reply | None:
        """The success of the request of which this one may be a broker's second delivery; None for what only reads."""
        if task.request.suspect_of is None or not task.command.disables:
            return None
        reply = self._stored.reply_of(task.request.suspect_of)
        return reply if reply is not None and reply.success else None
