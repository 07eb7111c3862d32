"""Makes a request of a document of desired users, or the refusal of the document."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

from zkbridge.commands.api.params import ENVELOPE
from zkbridge.commands.desired.decision import Standing, check_version
from zkbridge.commands.desired.document import (
    Asked,
    Manifest,
    document_of,
    fields_of,
    part_number,
    read_fields,
    read_part,
)
from zkbridge.commands.desired.refusals import Refused, incomplete
from zkbridge.config.models import Config
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BridgeError, DeviceNotFound, FieldFault, InvalidField, PayloadTooLarge
from zkbridge.contract.messages import Message, parse_object
from zkbridge.contract.plans import DESIRED, MAX_BYTES, MAX_PARTS, MAX_USERS, MAX_VERSION, PART
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics
from zkbridge.intake.document_files import file_of, read_file
from zkbridge.ledger.documents import Documents, KeptPart, LastDocument
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft
from zkbridge.machine.clock import Clock

log = logging.getLogger(__name__)

#: What the configuration says for documents in files that do not say it themselves.
_OF_FILES = ("apply", "delete", "delete_limit", "claim")


def is_document(command: str) -> bool:
    """Whether the end of a topic is that of a document, or of a part of one."""
    return command == DESIRED or command.startswith(f"{PART}/")


class DocumentReader:
    """Reads documents by one configuration. What is kept of the last one, and the parts, stand in the ledger.

    For one thread at a time.
    """

    def __init__(self, config: Config, ledger: Ledger, clock: Clock) -> None:
        self._config = config
        self._ledger = ledger
        self._documents = Documents(ledger.facts)
        self._clock = clock
        self._topics = Topics(config.mqtt.base_topic)
        #: A part that was refused, and why, until its answer is made: it is not read a second time for that.
        self._refused: tuple[Message, BridgeError] | None = None

    def for_each_member(self, message: Message) -> Iterator[Message]:
        """The message; a document for a group once for each member, as if it had come on the member's topic.

        Yields nothing for a cleared document. Keeps a part, and yields the documents that it completes; yields a part
        that it cannot keep, so that `draft` gives the reason. Raises LedgerUnavailable.
        """
        parsed = self._topics.parse(message.topic)
        if parsed is None or not self._config.desired.enabled or not is_document(parsed[1]):
            yield message
        elif parsed[1] != DESIRED:
            yield from self._with_part(message, *parsed)
        elif not message.payload:
            log.info("a document for %s was cleared; nothing is changed", shown(parsed[0]))
        else:
            for member in self._members(parsed[0]):
                yield message._replace(topic=self._topics.command(member, DESIRED))

    def is_kept(self, message: Message) -> bool:
        """Whether a message is a part that is kept with this content, and no manifest waits for parts.

        Raises LedgerUnavailable.
        """
        parsed = self._topics.parse(message.topic)
        number = None if parsed is None else part_number(parsed[1])
        if parsed is None or number is None:
            return False
        kept = self._documents.parts(parsed[0]).get(number)
        same = kept is not None and kept.sha256 == hashlib.sha256(message.payload).hexdigest()
        return same and all(self._documents.manifest(member) is None for member in self._members(parsed[0]))

    def draft(self, message: Message, device: str, command: str, address: Draft) -> Draft:
        """The draft of a document. Raises the BridgeError that is answered instead, and LedgerUnavailable."""
        config = self._config
        if len(message.payload) > config.mqtt.max_payload:
            raise PayloadTooLarge(size=len(message.payload), limit=config.mqtt.max_payload)
        if command != DESIRED:
            refused, self._refused = self._refused, None
            if refused is not None and refused[0] is message:
                raise refused[1]
            self._keep_part(message, device, command)
        if device not in config.devices:
            raise self._not_found(device)
        if (file := self._file_of(device)) is not None:
            raise Refused("document_in_file", file=file.name)
        asked, replaces = self._read(parse_object(message.payload), device)
        content = self._ledger.digest(asked.stored())
        last = self._documents.last(device)
        check_version(asked.version, content, Standing(last.version, last.digest), replaces=replaces)
        if asked.parts is not None:
            asked = asked.model_copy(update={"source": self._whole_source(asked.parts, device, message.payload)})
        # Before the request is kept: the same document may come again, and is the same version then.
        return self._taken(asked, content, device, address._replace(retained=message.retain))

    def draft_of_file(self, device: str, path: Path, address: Draft) -> Draft | None:
        """The draft of the document in a file; None where it is the last one, or is still being written.

        Without a version of its own it has the next one, where its content is new; 1 follows the highest. Raises as
        `draft`.
        """
        if (body := read_file(path)) is None:
            return None
        settings = self._config.desired
        body = {name: getattr(settings, name) for name in _OF_FILES} | body
        last = self._documents.last(device)
        has_version = body.get("version") is not None
        asked, replaces = self._read(body if has_version else body | _following(last.version), device, secrets=True)
        content = self._ledger.digest(asked.stored())
        same = asked if has_version else asked.model_copy(update={"version": last.version})
        if (same.version, self._ledger.digest(same.stored())) == (last.version, last.digest):
            return None
        check_version(asked.version, content, Standing(last.version, last.digest), replaces=replaces)
        if asked.parts is not None:
            raise InvalidField(FieldFault("parts", "unknown"))
        return self._taken(asked, content, device, address)

    def _taken(self, asked: Asked, content: bytes, device: str, address: Draft) -> Draft:
        """The draft of a document that is taken on; it is the last one from now on."""
        config = self._config
        if asked.version < self._documents.last(device).version:
            self._ledger.retention.free_versions(device)
        last = LastDocument(asked.version, content, asked.apply, asked.repair_interval)
        self._documents.keep_last(device, last, asked.without_pins().stored())
        return address._replace(
            request_id=str(asked.version),
            content=content,
            params=asked.stored(),
            expires_at=self._clock.now() + config.ledger.keep,
            catch_up=True,
        )

    def comparison(self, device: str, *, repair: bool) -> Draft | None:
        """The draft of a comparison of a terminal with its last document; None where there was none.

        Raises LedgerUnavailable.
        """
        content = self._documents.content(device)
        if content is None:
            return None
        asked = Asked.model_validate_json(content).model_copy(update={"mode": "repair" if repair else "check"})
        topic = self._topics.plan(device, DESIRED)
        return Draft(
            self._ledger.digest(secrets.token_bytes(16)),
            topic,
            topic,
            device=device,
            command=DESIRED,
            # No other has it, so it is no copy; the plan names the version.
            request_id=f"{asked.version}/{secrets.token_hex(4)}",
            params=asked.stored(),
        )

    def _file_of(self, device: str) -> Path | None:
        """The file that has the document of a device: its own, or that of a group."""
        directory = self._config.desired.directory
        found = (file_of(directory, source) for source in self._sources(device))
        return next((path for path in found if path is not None), None)

    def _read(self, body: JsonObject, device: str, *, secrets: bool | None = None) -> tuple[Asked, int]:
        """What a document asks, and which version it replaces although that is higher; 0: none."""
        config, settings = self._config, self._config.devices[device]
        fields = fields_of(body, strict=config.strict)
        asked = Asked.model_validate(fields.model_dump(exclude={*ENVELOPE, "replaces"}))
        if not isinstance(fields, Manifest):
            document = document_of(
                fields,
                fields.users,
                settings,
                config.policy,
                strict=config.strict,
                secrets=config.desired.secrets if secrets is None else secrets,
            )
            if any(each.params.has_dates for each in document.users) and not settings.validity.trust_clock:
                self._clock.require_synchronised("validity")
        return asked, fields.replaces

    def _whole_source(self, parts: list[str], device: str, manifest: bytes) -> str:
        """On whose topic all parts have come. Raises Refused where some are missing, or are too many rows.

        A document with missing parts waits for them.
        """
        source, missing = min(
            ((each, self._documents.missing(each, parts)) for each in self._sources(device)),
            key=lambda found: len(found[1]),
        )
        if missing:
            self._documents.keep_manifest(device, manifest)
            raise incomplete(missing)
        kept = self._documents.parts(source)
        if sum(kept[number].rows for number in range(1, len(parts) + 1)) > MAX_USERS:
            raise _too_large()
        return source

    def _with_part(self, message: Message, source: str, command: str) -> Iterator[Message]:
        number = part_number(command)
        if number is not None and not message.payload:
            self._documents.drop_part(source, number)
            return
        try:
            self._keep_part(message, source, command)
        except BridgeError as refusal:
            self._refused = message, refusal
            yield message
            return
        for member in self._members(source):
            manifest = self._documents.manifest(member)
            if manifest is not None and self._is_whole(manifest, member):
                # Not as the retained message that it was: that one is known, and was answered.
                yield Message(self._topics.command(member, DESIRED), manifest, connection=message.connection)

    def _is_whole(self, manifest: bytes, device: str) -> bool:
        try:
            fields = read_fields(manifest, strict=self._config.strict)
        except BridgeError:  # the configuration has changed since it was kept
            return False
        parts = fields.parts if isinstance(fields, Manifest) else []
        return any(not self._documents.missing(source, parts) for source in self._sources(device))

    def _keep_part(self, message: Message, source: str, command: str) -> None:
        """Raises the BridgeError that says why a part is not kept."""
        config, number = self._config, part_number(command)
        if len(message.payload) > config.mqtt.max_payload:
            raise PayloadTooLarge(size=len(message.payload), limit=config.mqtt.max_payload)
        if number is None:
            raise Refused("part_unknown", limit=MAX_PARTS)
        if source not in config.devices and source not in config.groups:
            raise self._not_found(source)
        sha256 = hashlib.sha256(message.payload).hexdigest()
        kept = self._documents.parts(source)
        if number in kept and kept[number].sha256 == sha256:
            return
        members = [config.devices[member] for member in self._members(source)]
        rows = read_part(message.payload, members, config.policy, number=number, strict=config.strict)
        others = sum(part.size for place, part in kept.items() if place != number)
        if others + len(message.payload) > MAX_BYTES:
            raise _too_large()
        self._documents.keep_part(source, number, KeptPart(sha256, len(message.payload), len(rows)), rows)

    def _members(self, device: str) -> list[str]:
        return list(self._config.groups.get(device, [device]))

    def _sources(self, device: str) -> list[str]:
        """On whose topics the parts of a device's document may come: its own, and those of its groups."""
        return [device, *(group for group, members in self._config.groups.items() if device in members)]

    def _not_found(self, device: str) -> DeviceNotFound:
        known = [*self._config.devices, *self._config.groups]
        return DeviceNotFound(device=shown(device), more={"disponibles": known})


def _following(version: int) -> dict[str, int]:
    """The fields that number the next document of a file."""
    return {"version": version + 1} if version < MAX_VERSION else {"version": 1, "replaces": version}


def _too_large() -> Refused:
    return Refused("document_too_large", users=MAX_USERS, bytes=MAX_BYTES)
