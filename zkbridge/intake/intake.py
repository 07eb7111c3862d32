"""From a message's bytes to a request that is kept, or an answer at once."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path

from zkbridge.commands import Command
from zkbridge.commands.api.fields import read_language, read_request_id
from zkbridge.commands.desired.document import part_number
from zkbridge.commands.desired.state import DOCUMENT
from zkbridge.config.models import Config
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import (
    BodyRequired,
    BridgeError,
    Internal,
    PayloadTooLarge,
)
from zkbridge.contract.messages import Message, Reply, failed, parse_object
from zkbridge.contract.plans import DESIRED, refused
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics, is_publishable
from zkbridge.intake.addressing import Addressing, kept_correlation
from zkbridge.intake.admission import Admission, keep
from zkbridge.intake.checks import Checks
from zkbridge.intake.documents import DocumentReader, is_document
from zkbridge.intake.keeper import Keeper, Outcome
from zkbridge.intake.ports import IntakePorts
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Kept, Request, Verdict
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.telemetry.events import Answered, EventSink, Known, ignore

log = logging.getLogger(__name__)


class Intake:
    """Checks messages in the contract's order and keeps them.

    `subscribed` lists the filters that the bridge itself listens to, `ports` are the rest of the daemon, `keeper` sees
    to it that a message that cannot be kept costs the others nothing. `tell` hears what happens.
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
        self._addressing = Addressing(config, commands, subscribed)
        self._ports = ports
        self._keeper = keeper
        self._tell = tell
        self._clock = clock
        self._stopping = threading.Event()
        self._checks = self._checks_of(config)
        self._documents = DocumentReader(config, ledger, clock)

    def reload(self, config: Config, *, subscribed: Iterable[str]) -> None:
        """Use another configuration from now on; not while `receive` runs."""
        self._config = config
        self._addressing = Addressing(config, self._commands, subscribed)
        self._checks = self._checks_of(config)
        self._documents = DocumentReader(config, self._ledger, self._clock)

    def stop(self) -> None:
        """From now on new requests are answered busy."""
        self._stopping.set()

    def receive(self, messages: Iterable[Message]) -> None:
        """Return once every message is kept, or set aside. Raises LedgerUnavailable, and then at least one is not.

        Documents come last: thousands of rows are read in them, and no command is to wait for that.
        """
        documents: list[Message] = []
        commands: list[Message] = []
        for message in messages:
            parsed = self._topics.parse(message.topic)
            (documents if parsed is not None and is_document(parsed[1]) else commands).append(message)
        self._receive(commands)
        self._receive(documents)

    def _receive(self, messages: list[Message]) -> None:
        if not messages:
            return
        drafts = [draft for message in messages for draft in self._drafts(message)]
        for kept in self._keeper.keep(drafts, self._keep, self._internal):
            self._hand_over(kept)
        self._documents.forget_whole()

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
            return self._documents.draft_of_file(device, path, address)
        except BridgeError as refusal:
            reply = refused(failed(refusal, self._config.language, request_id=None), device)
            return address._replace(reply=reply)

    def take(self, draft: Draft) -> Outcome:
        """Keep a draft of the bridge's own, and hand it over; nothing is returned if it was set aside.

        Raises LedgerUnavailable.
        """
        outcome: Outcome = []
        for kept in self._keeper.keep([draft], self._keep, self._internal):
            self._hand_over(kept)
            outcome += kept
        return outcome

    def compare(self, device: str, *, repair: bool) -> bool:
        """Have a terminal compared with its last document, and made equal to it again where that is wanted.

        Returns whether that is under way: requests that wait for the terminal come first. Raises LedgerUnavailable.
        """
        if device not in self._config.devices or self._ports.waiting(device) or self._stopping.is_set():
            return False
        draft = self._documents.comparison(device, repair=repair)
        if draft is None:
            return False
        self.take(draft)
        return True

    def _checks_of(self, config: Config) -> Checks:
        return Checks(config, self._commands, ports=self._ports, digests=self._ledger, clock=self._clock)

    def _keep(self, drafts: list[Draft]) -> list[Kept]:
        known = {**self._commands, DESIRED: DOCUMENT}
        admission = Admission(self._config, known, ports=self._ports, clock=self._clock, stopping=self._stopping)
        return keep(self._ledger, drafts, admission)

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

    def _drafts(self, message: Message) -> list[Draft]:
        """What is to be kept of a message; a document has a draft for each member of a group.

        A message that makes the bridge fail is set aside, and costs no other anything. Raises LedgerUnavailable.
        """
        try:
            each_member = self._documents.for_each_member(message)
            return [draft for each in each_member if (draft := self._draft(each)) is not None]
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - logged where it is set aside
            self._keeper.give_up(message.topic, self._ledger.digest(message.topic, message.payload), error)
            return []

    def _draft(self, message: Message) -> Draft | None:
        parsed = self._topics.parse(message.topic)
        of_document = parsed is not None and is_document(parsed[1]) and self._config.desired.enabled
        if parsed is None or not (of_document or parsed[1] in self._commands):
            log.warning("a message on %s is ignored: its topic names no command", shown(message.topic))
            return None
        known = parsed[0] in self._config.devices or parsed[0] in self._config.groups
        if self._config.mqtt.unknown_devices == "ignore" and not known:
            # The broker had it before it heard that this device has left us: it may be another bridge's by now.
            log.info(
                "a message for %s is ignored: that device is not in this configuration (unknown_devices: ignore)",
                shown(parsed[0]),
            )
            return None
        address = self._address(message, *parsed)
        if address is None:
            log.error(
                "a request cannot be answered: its topic is so long that the topic of its reply would be too long"
            )
            return None
        check = self._documents.draft if of_document else self._checks.check
        try:
            return check(message, *parsed, address)
        except BridgeError as refusal:
            return self._refused(message, address, refusal)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - logged where it is set aside
            error_id = self._keeper.give_up(message.topic, address.digest, error)
            return self._refused(message, address, Internal(error_id))

    def _address(self, message: Message, device: str, command: str) -> Draft | None:
        """Where the answer goes, and what tells this message from others."""
        fallback = self._topics.reply(device, command)
        if is_document(command):
            fallback, command = self._topics.plan(device, DESIRED), DESIRED
        wanted = message.response_topic
        allowed = wanted is not None and self._addressing.allows(wanted, device)
        topic = wanted if wanted is not None and allowed else fallback
        if not is_publishable(topic):
            return None
        return Draft(
            digest=self._ledger.digest(message.topic, message.payload, wanted, message.correlation_data),
            topic=topic,
            fallback=fallback if is_publishable(fallback) else topic,
            connection=message.connection,
            mid=message.mid,
            dup=message.dup,
            redeliverable=message.qos > 0,
            retained=message.retain,
            correlation=kept_correlation(message),
            response_topic_refused=wanted is not None and not allowed,
            device=device,
            command=command,
        )

    def _refused(self, message: Message, address: Draft, refusal: BridgeError) -> Draft:
        body = {} if isinstance(refusal, PayloadTooLarge) else _peek(message.payload)
        request_id = read_request_id(body)
        language = read_language(body) or self._config.language
        reply = failed(refusal, language, request_id=request_id)
        if address.command == DESIRED:
            parsed = self._topics.parse(message.topic)
            part = parsed and part_number(parsed[1])
            reply = refused(reply, address.device, part=part, version=None if part else body.get("version"))
        return address._replace(reply=reply, request_id=request_id)

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


def _peek(payload: bytes) -> JsonObject:
    """What the payload of a refused message holds; nothing where it cannot be read."""
    try:
        return parse_object(payload)
    except BodyRequired:
        return {}
