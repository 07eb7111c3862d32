"""Passes messages from the broker to intake, except while the parts change; has unread documents read in order."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zkbridge.contract.messages import Message
from zkbridge.intake.intake import Intake
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.records import Kept
from zkbridge.runtime.scheduler import Upkeep

#: Seconds until the next attempt if the result of reading a document could not be stored.
AGAIN_S = 5.0


class Reception:
    """Hands messages to intake, except while `paused`; documents are read later, one for one device at a time."""

    def __init__(self, intake: Intake, upkeep: Upkeep) -> None:
        self.intake = intake
        self._upkeep = upkeep
        #: Held while a document is read; taken before `_handing_over`.
        self._reading = threading.Lock()
        self._handing_over = threading.Lock()

    def start(self) -> None:
        """Have the documents read that an earlier run has left unread."""
        self._upkeep.later("unread documents", 0.0, self._look)

    def receive(self, messages: Iterable[Message]) -> None:
        """Keep messages. Raises LedgerUnavailable."""
        with self._handing_over:
            has_unread = self.intake.receive(messages)
        if has_unread:
            self._upkeep.later("unread documents", 0.0, self._look)
            while self.intake.has_many_unread() and self.read_document():
                pass

    def read_document(self) -> bool:
        """Read an unread document for one device; returns whether more may be unread. Raises LedgerUnavailable."""
        with self._reading:
            read = self.intake.read_document()
            if read is None:
                return False
            with self._handing_over:
                return self.intake.take_document(*read)

    def ask(self, device: str, command: str, request_id: str, *, until: float) -> Kept | None:
        """Have the bridge itself ask a device; see `Intake.ask`. Raises LedgerUnavailable."""
        with self._handing_over:
            return self.intake.ask(device, command, request_id, until=until)

    def compare(self, device: str, *, repair: bool) -> bool:
        """Have a terminal compared with its last document; see `Intake.compare`. Raises LedgerUnavailable."""
        with self._handing_over:
            return self.intake.compare(device, repair=repair)

    def take_file(self, device: str, path: Path) -> None:
        """Take on the document in a file for a device, if it has changed. Raises LedgerUnavailable.

        It is read while messages are received; they wait only while it is kept.
        """
        with self._reading:
            draft = self.intake.draft_of_file(device, path)
            if draft is not None:
                with self._handing_over:
                    self.intake.take(draft)

    def _look(self) -> float | None:
        try:
            return 0.0 if self.read_document() else None
        except LedgerUnavailable:
            return AGAIN_S

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No message is handed over meanwhile."""
        with self._handing_over:
            yield
