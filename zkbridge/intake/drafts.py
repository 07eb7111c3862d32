"""From a message's bytes to the draft of a request, or of an answer at once, by one configuration."""

from __future__ import annotations

import logging
from typing import NamedTuple

from zkbridge.commands import Command
from zkbridge.commands.api.fields import read_language, read_request_id
from zkbridge.commands.desired.document import part_number
from zkbridge.config.models import Config
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BodyRequired, BridgeError, Internal, PayloadTooLarge
from zkbridge.contract.messages import Message, failed, parse_object
from zkbridge.contract.plans import DESIRED, refused
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics, is_publishable
from zkbridge.intake.addressing import Addressing, kept_correlation
from zkbridge.intake.checks import Checks
from zkbridge.intake.documents import DocumentReader, is_document
from zkbridge.intake.keeper import Keeper
from zkbridge.intake.ports import Digests
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.records import Draft
from zkbridge.ledger.unread import ReadStep, Unread

log = logging.getLogger(__name__)


class ReadDocument(NamedTuple):
    """The result of reading a document for one device; `draft` is None if there is none or it was set aside."""

    draft: Draft | None
    step: ReadStep


class Drafts:
    """Makes drafts. A message that makes the bridge fail is set aside by `keeper`, and costs no other anything."""

    def __init__(
        self,
        config: Config,
        commands: dict[str, Command],
        *,
        addressing: Addressing,
        checks: Checks,
        documents: DocumentReader,
        digests: Digests,
        keeper: Keeper,
    ) -> None:
        self._config = config
        self._commands = commands
        self._topics = Topics(config.mqtt.base_topic)
        self._addressing = addressing
        self._checks = checks
        self.documents = documents
        self._digests = digests
        self._keeper = keeper

    def is_document(self, message: Message) -> bool:
        """Whether a message is a document, or a part of one, and documents are wanted."""
        parsed = self._topics.parse(message.topic)
        return parsed is not None and self._names_document(parsed[1])

    def of(self, message: Message) -> Draft | None:
        """What is to be kept of a message; None where it is ignored, or was set aside. Raises LedgerUnavailable."""
        try:
            return self._draft(message)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - logged where it is set aside
            self._give_up(message, error)
            return None

    def of_unread(self, unread: Unread) -> ReadDocument:
        """What is to be kept of a document, for the next device that it is for. Raises LedgerUnavailable."""
        left = [each for each in self._members(unread.message) if self._device(each) not in unread.done]
        if not left:
            return ReadDocument(None, ReadStep(unread, "", is_last=True))
        completes = self._is_part(unread.message) and not self._is_part(left[0])
        step = ReadStep(unread, self._device(left[0]), is_last=len(left) == 1, completes=completes)
        return ReadDocument(self.of(left[0]), step)

    def _names_document(self, command: str) -> bool:
        return is_document(command) and self._config.desired.enabled

    def _members(self, message: Message) -> list[Message]:
        try:
            return list(self.documents.for_each_member(message))
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - logged where it is set aside
            self._give_up(message, error)
            return []

    def _give_up(self, message: Message, error: Exception) -> None:
        self._keeper.give_up(message.topic, self._digests.digest(message.topic, message.payload), error)

    def _device(self, message: Message) -> str:
        parsed = self._topics.parse(message.topic)
        return "" if parsed is None else parsed[0]

    def _is_part(self, message: Message) -> bool:
        parsed = self._topics.parse(message.topic)
        return parsed is not None and parsed[1] != DESIRED

    def _draft(self, message: Message) -> Draft | None:
        parsed = self._topics.parse(message.topic)
        of_document = parsed is not None and self._names_document(parsed[1])
        if parsed is None or not (of_document or parsed[1] in self._commands):
            log.warning("a message on %s is ignored: its topic names no command", shown(message.topic))
            return None
        known = parsed[0] in self._config.devices or parsed[0] in self._config.groups
        if self._config.mqtt.unknown_devices == "ignore" and not known:
            # The broker had it before it processed that this device has left us: it may be another bridge's by now.
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
        check = self.documents.draft if of_document else self._checks.check
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
        """Where the answer goes, and what distinguishes this message from others."""
        fallback = self._topics.reply(device, command)
        if is_document(command):
            fallback, command = self._topics.plan(device, DESIRED), DESIRED
        wanted = message.response_topic
        allowed = wanted is not None and self._addressing.allows(wanted, device)
        topic = wanted if wanted is not None and allowed else fallback
        if not is_publishable(topic):
            return None
        return Draft(
            digest=self._digests.digest(message.topic, message.payload, wanted, message.correlation_data),
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


def _peek(payload: bytes) -> JsonObject:
    """What the payload of a refused message holds; nothing where it cannot be read."""
    try:
        return parse_object(payload)
    except BodyRequired:
        return {}
