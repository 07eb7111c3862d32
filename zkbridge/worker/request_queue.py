"""The requests of one device: those that wait, those in hand, and the lock that guards both."""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from zkbridge.commands import Command
from zkbridge.ledger.records import Request
from zkbridge.worker.cancellation import Cancellation, TaskSource
from zkbridge.worker.task import Task


class Step(enum.Enum):
    """What the worker's thread does next."""

    SESSION = "session"
    PROBE = "probe"
    CATCH_UP = "catch up"


class Tasks(TaskSource, Protocol):
    """Makes the tasks of requests, and knows when they arrived; see TaskMaker."""

    def note_arrival(self, requests: Iterable[Request], /) -> None:
        """These requests arrived just now."""


class OlderRequests(Protocol):
    """The requests that wait for the terminal to answer again; see CatchUp."""

    def older_than(self, task: Task, /) -> Sequence[Request]:
        """The ones that must be done before this task, taken out."""


class RequestQueue:
    """The requests of one device, in the order in which they are answered.

    `lock` guards everything here, the tasks' `begun` and `closed`, and the cancellation: a request either has begun
    and is asked to end, or is taken out before the terminal is asked, and nothing in between. The worker holds the
    same lock where it starts or ends its thread. `begin` sets `begun`; only then is the change noted in the ledger,
    and only after that is the terminal asked.
    """

    def __init__(
        self, commands: dict[str, Command], *, tasks: Tasks, older: OlderRequests, cancellation: Cancellation
    ) -> None:
        self.lock = threading.RLock()
        self._commands = commands
        self._tasks = tasks
        self._older = older
        self._cancellation = cancellation
        self._queue: deque[Request] = deque()
        self._in_hand: list[Task] = []
        self._ready: list[Task] = []
        self._probe_wanted = False
        self._stopping = threading.Event()

    # -- for other threads ---------------------------------------------------------------------------------------

    def add(self, requests: Sequence[Request], *, resumed: bool = False) -> None:
        """Take requests that the ledger has kept. `resumed`: an earlier run has kept them."""
        with self.lock:
            if not resumed:
                self._tasks.note_arrival(requests)
            for request in requests:
                if (ends := self._commands[request.command].ends) is None:
                    self._queue.append(request)
                else:
                    self._ready += self._cancellation.begin(request, ends, self._in_hand, self._queue)

    def want_probe(self, *, wanted: bool) -> None:
        """Have the terminal called without a request, or not: `next_step` says so once nothing else is to be done."""
        with self.lock:
            self._probe_wanted = wanted

    def stop(self) -> None:
        """Begin nothing new, and wait for no person any more."""
        with self.lock:
            self._stopping.set()
            for task in self._in_hand:
                task.presence.end(None)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait so many seconds; return True at once where the bridge stops."""
        return self._stopping.wait(seconds)

    @property
    def waiting(self) -> int:
        """How many requests wait or are in hand."""
        return len(self._queue) + len(self._in_hand)

    @property
    def has_new(self) -> bool:
        """Whether there is something for which a thread must be started."""
        return bool(self._queue or self._probe_wanted or self._ready)

    @property
    def has_work(self) -> bool:
        """Whether the thread has something to do."""
        return bool(self._in_hand) or self.has_new

    # -- for the worker's thread ---------------------------------------------------------------------------------

    def next_step(self, *, may_catch_up: bool) -> Step:
        """What to do next: requests come first, then a probe that is wanted, then what waited for the terminal."""
        with self.lock:
            idle = not self._queue and not self._in_hand
            probing, self._probe_wanted = self._probe_wanted and idle, False
            if probing:
                return Step.PROBE
            return Step.CATCH_UP if idle and may_catch_up else Step.SESSION

    def first(self) -> Command | None:
        """The command that comes first, which decides the kind of session; None where nothing waits.

        A session goes on only with requests of its kind. So the order stays, the terminal is not disabled for a
        request that only reads, and the door is never opened while the terminal is disabled. An attended command is
        taken in hand here, alone: what was asked before it must not wait for its person.
        """
        with self.lock:
            if self._in_hand:
                return self._in_hand[0].command
            if not self._queue:
                return None
            first = self._commands[self._queue[0].command]
            return None if first.attended and not self.take(1) else first

    def take(self, most: int, *, disables: bool | None = None) -> list[Task]:
        """Take the next requests in hand; with `disables` only those in front whose command is so, and not attended.

        Raises LedgerUnavailable.
        """
        with self.lock:
            requests: list[Request] = []
            while self._queue and len(requests) < most:
                following = self._commands[self._queue[0].command]
                if disables is not None and (following.attended or following.disables != disables):
                    break
                requests.append(self._queue.popleft())
            try:
                tasks = self._tasks_of(requests)
            except BaseException:
                self._queue.extendleft(reversed(requests))  # they would be lost until the next start
                raise
            self._in_hand.extend(tasks)
            for task in tasks:
                self._cancellation.note_in_hand(task)
                if self.stopping:
                    task.presence.end(None)
        return tasks

    def take_all(self) -> None:
        """Take everything in hand that waits: it shares the end of a conversation that failed."""
        with self.lock:
            self.take(len(self._queue))

    def take_in_hand(self, requests: Iterable[Request]) -> None:
        """Take requests in hand that waited for the terminal."""
        with self.lock:
            self._in_hand.extend(self._made(requests))

    @property
    def in_hand(self) -> list[Task]:
        """The tasks in hand just now; a task that has not begun may be cancelled at any moment."""
        with self.lock:
            return list(self._in_hand)

    def begin(self, task: Task) -> bool:
        """From here on the terminal may be asked for the task; False if it was cancelled just before, and answered."""
        with self.lock:
            task.begun = not task.closed
        return task.begun

    def close_answered(self) -> tuple[list[Task], list[Task]]:
        """The tasks whose reply is known, and the requests that cancel them; then those that wait or are handed over.

        Nothing can cancel the first any more.
        """
        with self.lock:
            answered = [task for task in self._in_hand if task.reply is not None]
            cancellers = [each for task in answered for each in self._cancellation.answer_with(task)]
            waits = [task for task in self._in_hand if task.reply is None and (task.parked or task.handing_over)]
        return [*answered, *cancellers], waits

    def drop_answered(self) -> None:
        """Let go of the tasks that are answered or wait: the ledger has kept that."""
        with self.lock:
            self._in_hand = [task for task in self._in_hand if task.is_open and task.parked is None]

    def drop_in_hand(self) -> None:
        """Let go of all tasks in hand: the ledger has them, and the next start goes on with them."""
        with self.lock:
            self._in_hand.clear()

    def take_ready(self) -> list[Task]:
        """Take the tasks that have their reply without a session."""
        with self.lock:
            tasks, self._ready = self._ready, []
        return tasks

    def put_back_ready(self, tasks: list[Task]) -> None:
        """Return what `take_ready` gave: it could not be kept."""
        with self.lock:
            self._ready += tasks

    def _tasks_of(self, requests: list[Request]) -> list[Task]:
        """The tasks of requests, each after the older ones that wait for the terminal."""
        taken = self._made(requests)
        return [each for task in taken for each in (*self._made(self._older.older_than(task)), task)]

    def _made(self, requests: Iterable[Request]) -> list[Task]:
        return [task for request in requests if (task := self._tasks.make(request)) is not None]
