"""From a list of users to what is asked of each device for each row, or why a row is not asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from zkbridge.commands import Command
from zkbridge.commands.api.lists import Many, Row, rows_of
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import BridgeError, InvalidField
from zkbridge.contract.groups import Said, together
from zkbridge.contract.messages import Reply, failed
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import Topics
from zkbridge.ledger.records import Part
from zkbridge.machine.clock import Clock


class Listed(NamedTuple):
    """A list that was read: its parts, bytes that are equal for equal lists, and its reply if no row is asked for."""

    parts: tuple[Part, ...]
    content: bytes
    reply: Reply | None


class ListReader:
    """Reads lists by one configuration."""

    def __init__(self, config: Config, commands: Mapping[str, Command], topics: Topics, clock: Clock) -> None:
        self._config = config
        self._commands = commands
        self._topics = topics
        self._clock = clock

    def read(self, many: Many, command: Command, to: str) -> Listed:
        """What a list asks of a device or of each member of a group: device by device, each in the list's order."""
        single = self._commands[command.each or ""]
        rows = list(rows_of(many, single, strict=self._config.strict))
        members = self._config.groups.get(to, [to])
        language = many.language or self._config.language
        parts = tuple(
            self._part(row, single, self._config.devices[member], alone=member == to, language=language)
            for member in members
            for row in rows
        )
        return Listed(parts, b"\n".join(row.content for row in rows), self._refusal(parts, many, to))

    def _part(self, row: Row, single: Command, device: Device, *, alone: bool, language: Language) -> Part:
        part = Part(device.id, self._topics.reply(device.id, single.name), command=single.name, user_id=row.user_id)
        try:
            if row.params is None:
                raise row.refusal or InvalidField()
            if faults := row.params.surely_wrong(device):
                raise InvalidField(*faults)
            row.params.check_policy(self._config.policy)
            if alone:
                row.params.check_device(device, self._clock)
        except BridgeError as refusal:
            return part._replace(reply=failed(refusal, language))
        return part._replace(params=row.params.stored())

    def _refusal(self, parts: Sequence[Part], many: Many, to: str) -> Reply | None:
        """The reply where every row is refused: nothing was done, and the request_id stays free."""
        said = [Said(part.device, part.reply, part.user_id) for part in parts if part.reply is not None]
        if len(said) < len(parts):
            return None
        room = self._config.mqtt.max_reply
        return together(
            to, said, request_id=many.request_id, language=many.language or self._config.language, room=room
        )
