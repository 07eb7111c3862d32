"""From a message's bytes to a request that is kept, or an answer at once."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from zkbridge.commands import Command, Params
from zkbridge.commands.api.fields import read_request_id
from zkbridge.config.models import Config
from zkbridge.contract.errors import (
    BodyRequired,
    BridgeError,
    Busy,
    DeviceNotFound,
    Expired,
    FieldFault,
    Forbidden,
    Internal,
    InvalidField,
    PayloadTooLarge,
    RequestIdReused,
    RetainedRefused,
)
from zkbridge.contract.messages import Message, Reply, failed, parse_object
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics, is_publishable
from zkbridge.intake.addressing import Addressing, kept_correlation, oversized
from zkbridge.intake.keeper import Keeper, Outcome
from zkbridge.intake.ports import IntakePorts
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Kept, Part, Request, Verdict
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.telemetry.events import Answered, EventSink, Known, ignore

log = logging.getLogger(__name__)

#: What a caller whose request finds the queue full is told to wait, at least and at most.
RETRY_AFTER_S = (1, 60)
#: Requests that a healthy terminal takes a second, roughly: only to make `retry_after_s` reasonable.
REQUESTS_PER_SECOND = 20


class _Batch:
    """Decides about the new requests of one batch, each counted for the queue of its device."""

    def __init__(
        self,
        refusal: Callable[[Draft, Counter[str]], Reply | None],
        reused: Callable[[Draft], Reply],
        commands: dict[str, Command],
    ) -> None:
        self._refusal = refusal
        self._reused = reused
        self._commands = commands
        self._new: Counter[str] = Counter()

    def admit(self, draft: Draft) -> Reply | None:
        """Why a new request is not taken on, if so."""
        refusal = self._refusal(draft, self._new)
        if refusal is None and not draft.parts and self._commands[draft.command].ends is None:
            self._new[draft.device] += 1
        return refusal

    def reused(self, draft: Draft) -> Reply:
        """The answer to a request_id that was used with other content."""
        return self._reused(draft)


class Intake:
    """Judges messages in the contract's order and keeps them.

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

    def reload(self, config: Config, *, subscribed: Iterable[str]) -> None:
        """Judge by another configuration from now on; not while `receive` runs."""
        self._config = config
        self._addressing = Addressing(config, self._commands, subscribed)

    def stop(self) -> None:
        """From now on new requests are answered busy."""
        self._stopping.set()

    def receive(self, messages: Iterable[Message]) -> None:
        """Return once every message is kept, or set aside. Raises LedgerUnavailable, and then at least one is not."""
        drafts = [draft for message in messages if (draft := self._draft_or_nothing(message)) is not None]
        for kept in self._keeper.keep(drafts, self._keep, self._internal):
            self._hand_over(kept)

    def _keep(self, drafts: list[Draft]) -> list[Kept]:
        return self._ledger.keep(drafts, _Batch(self._refusal, self._reused, self._commands))

    def _hand_over(self, kept: Outcome) -> None:
        """What is on disk is not to come again, so nothing that fails from here on may look like a failure to keep."""
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

    def _draft_or_nothing(self, message: Message) -> Draft | None:
        try:
            return self._draft(message)
        except Exception as error:  # noqa: BLE001 - logged where it is set aside
            self._keeper.give_up(message.topic, self._ledger.digest(message.topic, message.payload), error)
            return None

    def _draft(self, message: Message) -> Draft | None:
        parsed = self._topics.parse(message.topic)
        if parsed is None or parsed[1] not in self._commands:
            log.warning("a message on %s is no command; it is ignored", shown(message.topic))
            return None
        known = parsed[0] in self._config.devices or parsed[0] in self._config.groups
        if self._config.mqtt.unknown_devices == "ignore" and not known:
            # The broker had it before it heard that this device has left us: it may be another bridge's by now.
            log.info("a message for %s is left to whoever has that device", shown(parsed[0]))
            return None
        address = self._address(message, *parsed)
        if address is None:
            log.error("a request came on a topic that leaves no room for its reply; it cannot be answered")
            return None
        try:
            return self._judge(message, *parsed, address)
        except BridgeError as refusal:
            return self._refused(message, address, refusal)
        except Exception as error:  # noqa: BLE001 - logged where it is set aside
            error_id = self._keeper.give_up(message.topic, address.digest, error)
            return self._refused(message, address, Internal(error_id))

    def _address(self, message: Message, device: str, command: str) -> Draft | None:
        """Where the answer goes, and what tells this message from others."""
        fallback = self._topics.reply(device, command)
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

    def _judge(self, message: Message, device: str, command_name: str, address: Draft) -> Draft:
        """A request's draft. Raises what the caller is told instead, in the contract's order of checks."""
        if len(message.payload) > self._config.mqtt.max_payload:
            raise PayloadTooLarge(size=len(message.payload), limit=self._config.mqtt.max_payload)
        if faults := oversized(message):
            raise InvalidField(*faults)
        if message.retain:
            log.warning("a retained command on %s is not executed; clear it", shown(message.topic))
            raise RetainedRefused
        members = self._config.groups.get(device)
        if members is None and device not in self._config.devices:
            known = [*self._config.devices, *self._config.groups]
            raise DeviceNotFound(device=shown(device), more={"disponibles": known})
        command = self._commands[command_name]
        params = command.parse(self._body(message, command), strict=self._config.strict)
        content = stored = params.stored()
        if members is None:
            self._check(params, command, device)
            parts: tuple[Part, ...] = ()
        else:
            parts = self._parts(params, command, device)
            content = stored + b"+catch_up" if params.waits else stored
        # A broker brings again what it is not sure of before it brings what is new.
        settled = not self._ports.may_have_waited()
        return address._replace(
            redeliverable=address.redeliverable and (command.repeatable or not settled),
            settled=settled,
            request_id=params.request_id,
            content=self._ledger.digest(content),
            params=stored,
            expires_at=_expiry(params, message, self._clock) if parts else self._expiry(params, message, device),
            parts=parts,
            catch_up=params.waits,
        )

    def _parts(self, params: Params, command: Command, group: str) -> tuple[Part, ...]:
        """What each member is asked. Raises what is wrong with the request for all of them.

        What does not fit one device only is that device's answer: the others do it all the same.
        """
        if faults := self._waiting_faults(params):
            raise InvalidField(*faults)
        members = [self._config.devices[member] for member in self._config.groups[group]]
        wrong = [params.surely_wrong(member) for member in members]
        if all(wrong):
            raise InvalidField(*wrong[0])
        if not command.for_groups:
            raise Forbidden("group", command=command.name, device=group)
        self._check_policy(params, command, group)
        return tuple(
            Part(member.id, self._topics.reply(member.id, command.name), self._part_refusal(params, faults))
            for member, faults in zip(members, wrong, strict=True)
        )

    def _part_refusal(self, params: Params, faults: tuple[FieldFault, ...]) -> Reply | None:
        if not faults:
            return None
        return failed(InvalidField(*faults), self._config.language, request_id=params.request_id)

    def _waiting_faults(self, params: Params) -> list[FieldFault]:
        """A request that may wait for a terminal is good until a moment, and not longer than it is remembered."""
        if not params.waits:
            return []
        if params.expires_at is None:
            return [FieldFault("expires_at", "with_catch_up")]
        keep = self._config.ledger.keep
        if params.expires_at.timestamp() > self._clock.now() + keep:
            return [FieldFault("expires_at", "too_late", {"limit": f"{keep:g}"})]
        return []

    def _body(self, message: Message, command: Command) -> dict[str, Any]:
        """The payload's object; an empty payload is an empty one where nothing is required."""
        may_be_clearing = not command.repeatable and not self._ports.shows_retained()
        if not message.payload and not command.required and not may_be_clearing:
            return {}
        return parse_object(message.payload)

    def _check(self, params: Params, command: Command, device: str) -> None:
        faults = params.surely_wrong(self._config.devices[device])
        if params.waits:
            faults = (FieldFault("catch_up", "group_only"), *faults)
        if faults:
            raise InvalidField(*faults)
        self._check_policy(params, command, device)
        params.check_device(self._config.devices[device], self._clock)

    def _check_policy(self, params: Params, command: Command, device: str) -> None:
        policy = self._config.policy
        if policy.commands is not None and command.name not in policy.commands:
            raise Forbidden("command", command=command.name, device=device)
        params.check_policy(policy)

    def _expiry(self, params: Params, message: Message, device: str) -> float | None:
        """Until when the request is good; for one that must not be late and may have waited at the broker, until now.

        How long it waited there nobody can say, unless the caller has said until when it is good.
        """
        told = _expiry(params, message, self._clock)
        max_age_s = params.max_age_s(self._config.devices[device])
        if max_age_s is None:
            return told
        if told is None and self._ports.may_have_waited():
            return self._clock.now()
        latest = self._clock.now() + max_age_s - message.waited_s
        return latest if told is None else min(told, latest)

    def _refused(self, message: Message, address: Draft, refusal: BridgeError) -> Draft:
        request_id = None if isinstance(refusal, PayloadTooLarge) else _peek_request_id(message.payload)
        reply = failed(refusal, self._config.language, request_id=request_id)
        return address._replace(reply=reply, request_id=request_id)

    def _refusal(self, draft: Draft, new: Counter[str]) -> Reply | None:
        """Why a new request is not taken on now, if so; a group's, where no member has room for it."""
        language = self._config.language
        if draft.expires_at is not None and draft.expires_at <= self._clock.now():
            return failed(Expired.at(draft.expires_at), language, request_id=draft.request_id)
        if self._stopping.is_set():
            return failed(Busy("stopping", retry_after_s=10), language, request_id=draft.request_id)
        asked = [part.device for part in draft.parts if part.reply is None] or [draft.device]
        waiting = min(self._ports.waiting(device) + new[device] for device in asked)
        if waiting < self._config.queue_limit or self._commands[draft.command].ends is not None:
            return None
        least, most = RETRY_AFTER_S
        pause = min(most, max(least, waiting // REQUESTS_PER_SECOND))
        busy = Busy("queue", retry_after_s=pause, waiting=waiting, device=draft.device)
        return failed(busy, language, request_id=draft.request_id)

    def _internal(self, draft: Draft, error_id: str) -> Reply:
        return failed(Internal(error_id), self._config.language, request_id=draft.request_id)

    def _reused(self, draft: Draft) -> Reply:
        error = RequestIdReused(request_id=draft.request_id)
        return failed(error, self._config.language, request_id=draft.request_id)

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


def _expiry(params: Params, message: Message, clock: Clock) -> float | None:
    """The earlier of the payload's `expires_at` and what is left of MQTT 5's message expiry."""
    own = params.expires_at.timestamp() if params.expires_at else None
    left = clock.now() + message.expires_in_s if message.expires_in_s is not None else None
    return min((instant for instant in (own, left) if instant is not None), default=None)


def _peek_request_id(payload: bytes) -> str | None:
    try:
        return read_request_id(parse_object(payload))
    except BodyRequired:
        return None
