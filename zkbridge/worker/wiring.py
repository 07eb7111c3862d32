"""Puts the parts of one worker together."""

from __future__ import annotations

from typing import NamedTuple

from zkbridge.attendance.backlog import LivePunches
from zkbridge.attendance.listener import Listener
from zkbridge.commands import Command
from zkbridge.commands.api.backlog import NoBacklog
from zkbridge.commands.api.backups import Backups
from zkbridge.config.loader import state_dir
from zkbridge.config.models import Config, Device
from zkbridge.ledger.ledger import Ledger
from zkbridge.worker.cancellation import Cancellation
from zkbridge.worker.catch_up import CatchUp
from zkbridge.worker.change_maker import ChangeMaker
from zkbridge.worker.claims import KeptClaims
from zkbridge.worker.conversation_deadline import ConversationDeadline
from zkbridge.worker.date_runner import DateRunner
from zkbridge.worker.dates import Dates
from zkbridge.worker.failures import FailureHandler
from zkbridge.worker.planner import DeviceFiles, Planner
from zkbridge.worker.replies import ReplyMaker
from zkbridge.worker.reply_keeper import ReplyKeeper
from zkbridge.worker.request_queue import RequestQueue
from zkbridge.worker.session_runner import SessionRunner
from zkbridge.worker.surroundings import Shared, WorkerHooks
from zkbridge.worker.task_maker import TaskMaker
from zkbridge.worker.terminal_access import TerminalAccess
from zkbridge.worker.terminal_facts import TerminalFacts
from zkbridge.worker.verifier import Verifier


class Parts(NamedTuple):
    """The parts of one worker that its thread calls."""

    requests: RequestQueue
    deadline: ConversationDeadline
    facts: TerminalFacts
    waiting: CatchUp
    keeper: ReplyKeeper
    access: TerminalAccess
    sessions: SessionRunner
    failures: FailureHandler
    dates: Dates
    date_runner: DateRunner


def assemble(
    device: Device,
    config: Config,
    ledger: Ledger,
    commands: dict[str, Command],
    *,
    hooks: WorkerHooks,
    shared: Shared,
    pending_enable: bool,
    listener: Listener | None,
) -> Parts:
    """Make the parts of a worker; see `Worker`."""
    replies = ReplyMaker(config, shared.reply_room)
    deadline = ConversationDeadline(conversation_s=config.retry.deadline, answer_s=device.timeout)
    facts = TerminalFacts(
        device,
        ledger,
        hooks=hooks,
        events=shared.events,
        language=config.language,
        pending_enable=pending_enable,
    )
    waiting = CatchUp(device, config, ledger, shared.clock)
    dates = Dates(device, ledger, shared.clock, hooks)
    keeper = ReplyKeeper(device, ledger, facts=facts, waiting=waiting, dates=dates, hooks=hooks, events=shared.events)
    tasks = TaskMaker(commands, replies=replies, keeper=keeper, hooks=hooks)
    cancellation = Cancellation(device, commands, replies=replies, tasks=tasks, stored=keeper)
    requests = RequestQueue(commands, tasks=tasks, older=waiting, cancellation=cancellation)
    access = TerminalAccess(shared.places.of(device), config, facts=facts, requests=requests, listener=listener)
    backlog = NoBacklog() if listener is None else LivePunches(device.id, ledger, listener)
    backups = Backups(state_dir(config) / "backups" / device.id, config.backup)
    planner = Planner(
        device,
        replies=replies,
        stored=ledger,
        clock=shared.clock,
        dates=dates,
        backlog=backlog,
        policy=config.policy,
        kept=DeviceFiles(backups, KeptClaims(device.id, ledger.facts)),
    )
    verifier = Verifier(device, replies=replies, planner=planner, access=access)
    changes = ChangeMaker(
        device,
        config,
        ledger,
        requests=requests,
        planner=planner,
        replies=replies,
        deadline=deadline,
        events=shared.events,
    )
    sessions = SessionRunner(
        config,
        requests=requests,
        access=access,
        facts=facts,
        planner=planner,
        changes=changes,
        verifier=verifier,
        keeper=keeper,
    )
    failures = FailureHandler(
        device,
        requests=requests,
        facts=facts,
        waiting=waiting,
        replies=replies,
        keeper=keeper,
        verifier=verifier,
        gate=shared.failure_gate,
    )
    date_runner = DateRunner(config, ledger, dates=dates, requests=requests, access=access, facts=facts)
    return Parts(requests, deadline, facts, waiting, keeper, access, sessions, failures, dates, date_runner)
