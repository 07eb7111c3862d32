"""The requests of one device that wait until its terminal answers again, and when they are tried."""

from __future__ import annotations

from collections.abc import Iterable

from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import ConnectionFailure, TerminalError
from zkbridge.contract.groups import waiting
from zkbridge.contract.messages import Reply
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Parked, Request
from zkbridge.machine.clock import Clock
from zkbridge.machine.pause import Pause
from zkbridge.worker.task import Task

#: The most waiting requests that are carried out in one conversation.
CATCH_UP = 32


class CatchUp:
    """The waiting requests of one device, as far as this run knows: the ledger may let some of them expire.

    Only the worker's thread changes it.
    """

    def __init__(self, device: Device, config: Config, ledger: Ledger, clock: Clock) -> None:
        self._device = device
        self._config = config
        self._ledger = ledger
        self._clock = clock
        self._subjects = {each.request.id: each.subject for each in ledger.waiting(device.id)}
        #: Those of which it was said that they wait; of what an earlier run left the start says it.
        self._told = set(self._subjects)
        #: The pause between two attempts: other requests come first meanwhile.
        self.pause = Pause()

    @property
    def is_empty(self) -> bool:
        """Whether no request waits for the terminal."""
        return not self._subjects

    def is_due(self, *, reached: bool) -> bool:
        """Whether to catch up now; `reached`: the terminal has answered since it last failed."""
        return bool(self._subjects) and reached and self.pause.is_over

    def take(self) -> list[Request]:
        """The oldest requests, for one conversation; none where all have expired. Raises LedgerUnavailable."""
        requests = self._take(most=CATCH_UP)
        if not requests:
            self._subjects = {}
        return requests

    def older_than(self, task: Task) -> list[Request]:
        """The waiting requests about what the task is about: they came first, and so are done first."""
        key = task.params.key
        if key is None or not task.command.disables or key not in self._subjects.values():
            return []
        requests = self._take(subject=key, most=self._config.queue_limit)
        self._subjects = {request: subject for request, subject in self._subjects.items() if subject != key}
        return requests

    def waiting_reply(self, task: Task, failure: TerminalError) -> Reply | None:
        """What the group is answered if the request waits for the terminal from now on; None if it does not wait."""
        until = task.request.expires_at
        may_wait = task.request.catch_up and until is not None and isinstance(failure, ConnectionFailure)
        if not may_wait or until is None or until <= self._clock.now():
            return None
        if len(self._subjects) >= self._config.queue_limit:
            return None
        language = task.request.language or self._config.language
        why = failure.sentence(language)
        return waiting(self._device.id, until=until, effect=failure.effect, why=why, language=language)

    def add(self, parked: Iterable[Parked]) -> None:
        """These requests wait from now on; the ledger has them."""
        for each in parked:
            self._subjects[each.request] = each.subject

    def is_told(self, task: Task) -> bool:
        """Whether the caller knows that a request waits: by its group's answer, or by one sent earlier in this run."""
        if task.request.parent is not None or task.request.id in self._told:
            return True
        self._told.add(task.request.id)
        return False

    def _take(self, *, subject: str | None = None, most: int) -> list[Request]:
        requests = self._ledger.take_up(self._device.id, subject=subject, most=most)
        for request in requests:
            self._subjects.pop(request.id, None)
        return requests
