"""From a document that says who is to be on a terminal to a request that is kept, or the reason why it is none."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from zkbridge.commands.desired.decision import Standing, check_version
from zkbridge.commands.desired.document import read_document
from zkbridge.config.models import Config
from zkbridge.contract.errors import DeviceNotFound, PayloadTooLarge
from zkbridge.contract.messages import Message
from zkbridge.contract.plans import DESIRED
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft
from zkbridge.machine.clock import Clock

log = logging.getLogger(__name__)

#: The last document of a device: its version, and a keyed digest of its content.
_NAME = "desired"


class DocumentReader:
    """Reads documents by one configuration. What is kept of the last one stands in the ledger."""

    def __init__(self, config: Config, ledger: Ledger, clock: Clock) -> None:
        self._config = config
        self._ledger = ledger
        self._clock = clock

    def for_each_member(self, message: Message) -> Iterator[Message]:
        """The message; a document for a group once for each member, as if it had come on the member's topic.

        Nothing where a document was cleared: that changes nothing.
        """
        topics = Topics(self._config.mqtt.base_topic)
        parsed = topics.parse(message.topic)
        if parsed is None or parsed[1] != DESIRED:
            yield message
        elif not message.payload:
            log.info("a document for %s was cleared; nothing is changed", shown(parsed[0]))
        else:
            for member in self._config.groups.get(parsed[0], [parsed[0]]):
                yield message._replace(topic=topics.command(member, DESIRED))

    def draft(self, message: Message, device: str, _document: str, address: Draft) -> Draft:
        """The draft of a document. Raises the BridgeError that is answered instead, and LedgerUnavailable."""
        config = self._config
        if len(message.payload) > config.mqtt.max_payload:
            raise PayloadTooLarge(size=len(message.payload), limit=config.mqtt.max_payload)
        if device not in config.devices:
            known = [*config.devices, *config.groups]
            raise DeviceNotFound(device=shown(device), more={"disponibles": known})
        settings = config.devices[device]
        fields, document = read_document(
            message.payload, settings, config.policy, strict=config.strict, secrets=config.desired.secrets
        )
        if any(each.params.has_dates for each in document.users) and not settings.validity.trust_clock:
            self._clock.require_synchronised("validity")
        content = self._ledger.digest(fields.stored())
        check_version(document, content, self._standing(device))
        # Before the request is kept: the same document may come again, and is the same version then.
        kept = json.dumps({"version": document.version, "digest": content.hex()})
        self._ledger.facts.remember(device, _NAME, kept)
        return address._replace(
            retained=message.retain,
            request_id=str(document.version),
            content=content,
            params=fields.stored(),
            expires_at=self._clock.now() + config.ledger.keep,
            catch_up=True,
        )

    def _standing(self, device: str) -> Standing:
        kept = json.loads(self._ledger.facts.recall(device, _NAME) or "{}")
        return Standing(kept.get("version", 0), bytes.fromhex(kept.get("digest", "")))
