"""Passes messages from the broker to intake, except while the parts change."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zkbridge.contract.messages import Message
from zkbridge.intake.intake import Intake
from zkbridge.ledger.records import Kept


class Reception:
    """Hands messages to intake, except while `paused`."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self._handing_over = threading.Lock()

    def receive(self, messages: Iterable[Message]) -> None:
        """Keep messages. Raises LedgerUnavailable."""
        with self._handing_over:
            self.intake.receive(messages)

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
        draft = self.intake.draft_of_file(device, path)
        if draft is not None:
            with self._handing_over:
                self.intake.take(draft)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No message is handed over meanwhile."""
        with self._handing_over:
            yield
