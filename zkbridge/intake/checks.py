"""Checks a message in the contract's order, and makes the request that it asks for."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from zkbridge.commands import Command, Params
from zkbridge.commands.api.lists import Many
from zkbridge.config.models import Config
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import (
    DeviceNotFound,
    FieldFault,
    Forbidden,
    InvalidField,
    PayloadTooLarge,
    RetainedRefused,
)
from zkbridge.contract.groups import targets
from zkbridge.contract.messages import Message, Reply, failed, parse_object
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics
from zkbridge.intake.addressing import oversized
from zkbridge.intake.lists import ListReader
from zkbridge.intake.ports import Digests, IntakePorts
from zkbridge.ledger.records import Draft, Part
from zkbridge.machine.clock import Clock

log = logging.getLogger(__name__)


class Checks:
    """Checks messages against one configuration. `digests` is the ledger."""

    def __init__(
        self,
        config: Config,
        commands: Mapping[str, Command],
        *,
        ports: IntakePorts,
        digests: Digests,
        clock: Clock,
    ) -> None:
        self._config = config
        self._commands = commands
        self._topics = Topics(config.mqtt.base_topic)
        self._ports = ports
        self._digests = digests
        self._clock = clock
        self._lists = ListReader(config, commands, self._topics, clock)

    def check(self, message: Message, device: str, command_name: str, address: Draft) -> Draft:
        """The draft of a request, made from the message's address. Raises the BridgeError that is answered instead."""
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
        if isinstance(params, Many):
            return self._list(params, command, message, address)
        content = stored = params.stored()
        if members is None:
            self._check_device(params, command, device)
            parts: tuple[Part, ...] = ()
        else:
            parts = self._parts(params, command, device)
            content = stored + b"+catch_up" if params.waits else stored
        # A broker redelivers unacknowledged messages before it delivers new ones.
        settled = not self._ports.may_have_waited()
        return address._replace(
            redeliverable=address.redeliverable and (command.repeatable or not settled),
            settled=settled,
            request_id=params.request_id,
            language=params.language,
            content=self._digests.digest(content),
            params=stored,
            expires_at=_expiry(params, message, self._clock) if parts else self._expiry(params, message, device),
            parts=parts,
            catch_up=params.waits and bool(parts),
        )

    def _list(self, many: Many, command: Command, message: Message, address: Draft) -> Draft:
        """The draft of a list: one request that is split into one for each row and device."""
        if faults := self._waiting_faults(many):
            raise InvalidField(*faults)
        self._check_policy(many, command, address.device)
        listed = self._lists.read(many, command, address.device)
        if listed.reply is not None:
            return address._replace(reply=listed.reply, request_id=many.request_id)
        return address._replace(
            settled=not self._ports.may_have_waited(),
            request_id=many.request_id,
            language=many.language,
            content=self._digests.digest(listed.content + b"+catch_up" if many.waits else listed.content),
            expires_at=_expiry(many, message, self._clock),
            parts=listed.parts,
            catch_up=many.waits,
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
        return failed(InvalidField(*faults), params.language or self._config.language, request_id=params.request_id)

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

    def _body(self, message: Message, command: Command) -> JsonObject:
        """The payload's object; an empty payload is an empty one where nothing is required."""
        may_be_clearing = not command.repeatable and not self._ports.shows_retained()
        if not message.payload and not command.required and not may_be_clearing:
            return {}
        return parse_object(message.payload)

    def _check_device(self, params: Params, command: Command, device: str) -> None:
        faults = params.surely_wrong(self._config.devices[device])
        if params.targets:
            faults = (*faults, *self._waiting_faults(params), *self._target_faults(params, device))
        elif params.waits:
            faults = (FieldFault("catch_up", "group_only"), *faults)
        if faults:
            raise InvalidField(*faults)
        self._check_policy(params, command, device)
        params.check_device(self._config.devices[device], self._clock)

    def _target_faults(self, params: Params, device: str) -> list[FieldFault]:
        """What is wrong with the names of other devices: there is none of that name, or the device itself only."""
        config = self._config
        unknown = [name for name in params.targets if name not in config.devices and name not in config.groups]
        if unknown:
            known = ", ".join([*config.devices, *config.groups])
            return [FieldFault("to", "unknown_device", {"device": name, "known": known}) for name in unknown]
        return [] if targets(config.groups, params.targets, without=device) else [FieldFault("to", "is_source")]

    def _check_policy(self, params: Params, command: Command, device: str) -> None:
        policy = self._config.policy
        if policy.commands is not None and command.name not in policy.commands:
            raise Forbidden("command", command=command.name, device=device)
        params.check_policy(policy)

    def _expiry(self, params: Params, message: Message, device: str) -> float | None:
        """Until when the request is good; for one that must not be late and may have waited at the broker, until now.

        How long it waited there is not known, unless the caller has said until when it is good.
        """
        told = _expiry(params, message, self._clock)
        max_age_s = params.max_age_s(self._config.devices[device])
        if max_age_s is None:
            return told
        if told is None and self._ports.may_have_waited():
            return self._clock.now()
        latest = self._clock.now() + max_age_s - message.waited_s
        return latest if told is None else min(told, latest)


def _expiry(params: Params, message: Message, clock: Clock) -> float | None:
    """The earlier of the payload's `expires_at` and what is left of MQTT 5's message expiry."""
    own = params.expires_at.timestamp() if params.expires_at else None
    left = clock.now() + message.expires_in_s if message.expires_in_s is not None else None
    return min((instant for instant in (own, left) if instant is not None), default=None)
