"""From a message's bytes to a request that is kept, or an answer at once."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterable
from functools import partial
from itertools import dropwhile
from pathlib import Path

from zkbridge.commands import Command
from zkbridge.commands.desired.state import DOCUMENT
from zkbridge.config.models import Config
from zkbridge.contract.errors import BridgeError, Internal
from zkbridge.contract.messages import Message, Reply, failed
from zkbridge.contract.plans import DESIRED, MAX_BYTES, refused
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics
from zkbridge.intake.addressing import Addressing
from zkbridge.intake.admission import Admission, keep
from zkbridge.intake.checks import Checks
from zkbridge.intake.documents import DocumentReader
from zkbridge.intake.drafts import Drafts, ReadDocument
from zkbridge.intake.keeper import Keeper, Outcome
from zkbridge.intake.ports import IntakePorts
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Kept, Request, Verdict
from zkbridge.ledger.unread import ReadStep, UnreadDocuments
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.telemetry.events import Answered, EventSink, Known, ignore

log = logging.getLogger(__name__)

#: The share of `ledger.max_bytes` that unread documents may take; the ledger deletes old answers to make room.
_UNREAD_SHARE = 0.25


class Intake:
    """Checks messages in the contract's order and keeps them.

    `subscribed` lists the filters that the bridge itself listens to, `ports` are the rest of the daemon, `keeper` sees
    to it that a message that cannot be kept costs the others nothing. `tell` is called with events.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        commands: dict[str, Command],
        *,
        subscribed: Iterable[str],
        ports: IntakePorts,
        keeper: Keeper,
        tell: EventSink = ignore,
        clock: Clock = SYSTEM,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._commands = commands
        self._topics = Topics(config.mqtt.base_topic)
        self._ports = ports
        self._keeper = keeper
        self._tell = tell
        self._clock = clock
        self._stopping = threading.Event()
        self._unread = UnreadDocuments(ledger.database)
        self._drafts = self._drafts_of(config, subscribed)

    def reload(self, config: Config, *, subscribed: Iterable[str]) -> None:
        """Use another configuration from now on; not while `receive` runs, nor `take_document`."""
        self._config = config
        self._drafts = self._drafts_of(config, subscribed)

    def stop(self) -> None:
        """From now on new requests are answered busy."""
        self._stopping.set()

    def receive(self, messages: Iterable[Message]) -> bool:
        """Return once every message is kept, or set aside. Raises LedgerUnavailable, and then at least one is not.

        Documents are kept as they came: there may be thousands of rows in each, and no command is to wait for those.
        Returns whether any is to be read by `read_document`.
        """
        documents: list[Message] = []
        commands: list[Message] = []
        for message in messages:
            (documents if self._drafts.is_document(message) else commands).append(message)
        if commands:
            drafts = [draft for message in commands if (draft := self._drafts.of(message)) is not None]
            for kept in self._keeper.keep(drafts, self._keep, self._internal):
                self._hand_over(kept)
        return bool(documents) and self._keep_unread(documents)

    def has_many_unread(self) -> bool:
        """Whether so many documents are unread that some are to be read before more are kept.

        Raises LedgerUnavailable.
        """
        most = min(MAX_BYTES, int(self._config.ledger.max_bytes * _UNREAD_SHARE))
        return self._unread.size() > most

    def read_document(self) -> tuple[Drafts, ReadDocument] | None:
        """Read the oldest unread document for one of its devices, with the present configuration; None: all are read.

        Called by one thread at a time, beside the one that receives messages. Raises LedgerUnavailable.
        """
        drafts, unread = self._drafts, self._unread.oldest()
        return None if unread is None else (drafts, drafts.of_unread(unread))

    def take_document(self, drafts: Drafts, read: ReadDocument) -> bool:
        """Keep what was read, and hand it over; whether there may be more to read. Raises LedgerUnavailable.

        What was read by another configuration, or while the bridge stops, stays unread.
        """
        if self._stopping.is_set():
            return False
        if drafts is self._drafts:
            if read.draft is None or not self.take(read.draft, step=read.step):
                self._unread.note(read.step)
            self._ledger.retention.note_freed(parked=False)  # a refused document may have had a PIN
        return True

    def ask(self, device: str, command: str, request_id: str, *, until: float) -> Kept | None:
        """Keep a request of the bridge's own, without fields, good until a moment; answered on the command's own topic.

        It waits for a terminal that is away. None where it could not be kept. Raises LedgerUnavailable.
        """
        params = self._commands[command].parse({"request_id": request_id}, strict=True).stored()
        topic = self._topics.reply(device, command)
        draft = Draft(self._ledger.digest(device, command, request_id), topic, topic, device=device, command=command)
        draft = draft._replace(request_id=request_id, content=self._ledger.digest(params), params=params)
        kept = self.take(draft._replace(expires_at=until, catch_up=True))
        return kept[0][1] if kept else None

    def draft_of_file(self, device: str, path: Path) -> Draft | None:
        """The draft of a document in a file for a device, or of its refusal; None where it has not changed.

        Called from one thread, beside the one that receives messages. Raises LedgerUnavailable.
        """
        topic = self._topics.plan(device, DESIRED)
        address = Draft(self._ledger.digest(secrets.token_bytes(16)), topic, topic, device=device, command=DESIRED)
        try:
            return self._drafts.documents.draft_of_file(device, path, address)
        except BridgeError as refusal:
            reply = refused(failed(refusal, self._config.language, request_id=None), device)
            return address._replace(reply=reply)

    def take(self, draft: Draft, *, step: ReadStep | None = None) -> Outcome:
        """Keep one draft, and hand it over; nothing is returned if it was set aside.

        `step` is the turn of the unread document from which it follows. Raises LedgerUnavailable.
        """
        outcome: Outcome = []
        for kept in self._keeper.keep([draft], partial(self._keep, step=step), self._internal):
            self._hand_over(kept)
            outcome += kept
        return outcome

    def compare(self, device: str, *, repair: bool) -> bool:
        """Have a terminal compared with its last document, and made equal to it again where that is wanted.

        Returns whether that is under way: requests that wait for the terminal come first. Raises LedgerUnavailable.
        """
        if device not in self._config.devices or self._ports.waiting(device) or self._stopping.is_set():
            return False
        draft = self._drafts.documents.comparison(device, repair=repair)
        if draft is None:
            return False
        self.take(draft)
        return True

    def _drafts_of(self, config: Config, subscribed: Iterable[str]) -> Drafts:
        return Drafts(
            config,
            self._commands,
            addressing=Addressing(config, self._commands, subscribed),
            checks=Checks(config, self._commands, ports=self._ports, digests=self._ledger, clock=self._clock),
            documents=DocumentReader(config, self._ledger, self._clock),
            digests=self._ledger,
            keeper=self._keeper,
        )

    def _keep_unread(self, documents: Iterable[Message]) -> bool:
        """Store documents unread, with one commit; leave out parts at the beginning that are stored already."""
        if self._unread.is_empty():  # an unread document could replace such a part
            documents = dropwhile(self._drafts.documents.is_kept, documents)
        unread = list(documents)
        if unread:
            self._unread.add(unread)
            log.info("kept, to be read in turn: %d documents or parts of documents", len(unread))
        return bool(unread)

    def _keep(self, drafts: list[Draft], step: ReadStep | None = None) -> list[Kept]:
        known = {**self._commands, DESIRED: DOCUMENT}
        admission = Admission(self._config, known, ports=self._ports, clock=self._clock, stopping=self._stopping)
        return keep(self._ledger, drafts, admission, step=step)

    def _hand_over(self, kept: Outcome) -> None:
        """Handle what was kept. It is on disk, so an error from here on must not count as a failure to keep it."""
        requests: dict[str, list[Request]] = {}
        for _, result in kept:
            for request in result.parts or filter(None, (result.request,)):
                requests.setdefault(request.device, []).append(request)
        for device, waiting in requests.items():
            self._ports.submit(device, waiting)
        if any(result.verdict is Verdict.ANSWERED for _, result in kept):
            self._ports.note_answers()
        for draft, result in kept:  # while the terminals are being called
            self._tell_of(draft, result)

    def _internal(self, draft: Draft, error_id: str) -> Reply:
        return failed(Internal(error_id), draft.language or self._config.language, request_id=draft.request_id)

    def _tell_of(self, draft: Draft, kept: Kept) -> None:
        """One line for each message."""
        where = (shown(draft.device), draft.command, draft.request_id)
        if kept.request is not None:
            log.info("kept request=%d device=%s command=%s request_id=%s", kept.request.id, *where)
        elif kept.reply is not None:
            level = logging.INFO if kept.reply.success else logging.WARNING
            line = "answered device=%s command=%s request_id=%s status=%d code=%s"
            log.log(level, line, *where, kept.reply.status, kept.reply.code)
            self._tell(Answered(draft.device, draft.command, kept.reply.code, again=kept.replayed))
        else:
            log.info("known already (%s) device=%s command=%s request_id=%s", kept.verdict.value, *where)
            self._tell(Known(draft.device, draft.command))
