"""Keeps a batch of messages: the ledger finds what is known of each, intake decides, one commit holds both."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Protocol

from zkbridge.commands import Command
from zkbridge.config.models import Config
from zkbridge.contract.errors import Busy, Expired, RequestIdReused
from zkbridge.contract.messages import Reply, failed
from zkbridge.intake.ports import IntakePorts
from zkbridge.ledger.acceptance import Batch
from zkbridge.ledger.finding import Finding, Found
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Kept, Part
from zkbridge.ledger.unread import ReadStep
from zkbridge.machine.clock import Clock

#: The shortest and longest `retry_after_s` for a request that finds the queue full, in seconds.
RETRY_AFTER_S = (1, 60)
#: Roughly the requests that a terminal carries out in a second; used for `retry_after_s` only.
REQUESTS_PER_SECOND = 20


class Decisions(Protocol):
    """Decides about messages of which only the ledger knows whether they are new."""

    def admit(self, draft: Draft, *, rows: int = 1) -> Reply | None:
        """The answer to a new request that is refused; of a group or a list as a whole, then of each device.

        `rows` is the number of requests that the device has to carry out for it.
        """

    def reused(self, draft: Draft) -> Reply:
        """The answer to a request_id that was used with other content."""


def keep(ledger: Ledger, drafts: Sequence[Draft], decisions: Decisions, *, step: ReadStep | None = None) -> list[Kept]:
    """Keep every draft, in order, with one commit; `step` is the turn of the unread document that they follow from.

    Raises LedgerUnavailable, and then nothing is kept.
    """
    with ledger.batch(drafts, of_unread=step is not None) as batch:
        kept = [_keep_one(batch, batch.find(draft), decisions) for draft in drafts]
        if step is not None:
            batch.note_read(step)
        return kept


def _keep_one(batch: Batch, found: Found, decisions: Decisions) -> Kept:
    draft = found.draft
    if found.finding is Finding.KNOWN:
        return batch.skip(found)
    if draft.reply is not None:
        return batch.answer(found, draft.reply)
    if found.finding is Finding.COPY:
        return batch.join(found)
    if found.finding is Finding.REUSED:
        return batch.answer(found, decisions.reused(draft))
    if (refusal := decisions.admit(draft)) is not None:
        return batch.answer(found, refusal)
    return batch.take_on(found, _parts(found, decisions) if draft.parts else ())


def _parts(found: Found, decisions: Decisions) -> list[Part]:
    """The parts of a group's request or of a list; one that is to be asked and is not taken on has its answer."""
    draft, asked = found.draft, found.asked
    is_asked = [part.reply is None and part.key in asked for part in draft.parts]
    rows = Counter(part.device for part in compress(draft.parts, is_asked))
    # All rows of a list for a device are accepted, or none.
    refusals = {
        device: decisions.admit(draft._replace(device=device, parts=()), rows=number) for device, number in rows.items()
    }
    return [
        part._replace(reply=refusals[part.device]) if asks else part
        for part, asks in zip(draft.parts, is_asked, strict=True)
    ]


class Admission:
    """Decides about the new requests of one batch; each one that is taken on counts for the queue of its device."""

    def __init__(
        self,
        config: Config,
        commands: Mapping[str, Command],
        *,
        ports: IntakePorts,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        self._config = config
        self._commands = commands
        self._ports = ports
        self._clock = clock
        self._stopping = stopping
        self._new: Counter[str] = Counter()

    def admit(self, draft: Draft, *, rows: int = 1) -> Reply | None:
        """Why a new request is refused; None if it is accepted."""
        refusal = self._refusal(draft)
        if refusal is None and not draft.parts and self._commands[draft.command].ends is None:
            self._new[draft.device] += rows
        return refusal

    def reused(self, draft: Draft) -> Reply:
        """The answer to a request_id that was used with other content."""
        error = RequestIdReused(request_id=draft.request_id)
        return failed(error, draft.language or self._config.language, request_id=draft.request_id)

    def _refusal(self, draft: Draft) -> Reply | None:
        """Why a new request is refused for now; a group's where no member has room for it. None if it is accepted."""
        language = draft.language or self._config.language
        if draft.expires_at is not None and draft.expires_at <= self._clock.now():
            return failed(Expired.at(draft.expires_at), language, request_id=draft.request_id)
        if self._stopping.is_set():
            return failed(Busy("stopping", retry_after_s=10), language, request_id=draft.request_id)
        asked = {part.device for part in draft.parts if part.reply is None} or {draft.device}
        waiting = min(self._ports.waiting(device) + self._new[device] for device in asked)
        if waiting < self._config.queue_limit or self._commands[draft.command].ends is not None:
            return None
        least, most = RETRY_AFTER_S
        pause = min(most, max(least, waiting // REQUESTS_PER_SECOND))
        busy = Busy("queue", retry_after_s=pause, waiting=waiting, device=draft.device)
        return failed(busy, language, request_id=draft.request_id)
