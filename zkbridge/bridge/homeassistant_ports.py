"""Gives Home Assistant's part access to the other parts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from zkbridge.commands import Button, Command
from zkbridge.contract.messages import Publication
from zkbridge.ledger.facts import Facts
from zkbridge.mqtt.client import Mqtt
from zkbridge.runtime.scheduler import Upkeep

#: Seconds for what was published to be confirmed, before topics that were cleared count as cleared.
TAKEN_WITHIN_S = 5.0


class BridgeHomeAssistantPorts:
    """Connects Home Assistant's part with ledger, broker, scheduler and commands (`homeassistant.ports`)."""

    def __init__(self, facts: Facts, mqtt: Mqtt, upkeep: Upkeep, commands: Mapping[str, Command]) -> None:
        self._facts = facts
        self._mqtt = mqtt
        self._upkeep = upkeep
        self._commands = commands

    def recall(self, subject: str, name: str) -> str | None:
        """A fact from the ledger."""
        return self._facts.recall(subject, name)

    def keep(self, subject: str, name: str, value: str) -> None:
        """Keep a fact in the ledger."""
        self._facts.keep(subject, name, value)

    def publish(self, publication: Publication) -> None:
        """Send a message if there is a connection."""
        self._mqtt.publish(None, publication)

    def later(self, key: Hashable, seconds: float, job: Callable[[], float | None]) -> None:
        """Have the scheduler run a job."""
        self._upkeep.later(key, seconds, job)

    def has_taken_all(self) -> bool:
        """Whether the broker confirms everything in a few seconds."""
        return self._mqtt.flush(TAKEN_WITHIN_S) and self._mqtt.is_connected

    def buttons(self) -> list[tuple[str, Button]]:
        """The commands that declare a button, by name."""
        return [(name, each.button) for name, each in sorted(self._commands.items()) if each.button is not None]
