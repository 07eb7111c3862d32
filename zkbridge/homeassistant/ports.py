"""The Protocols by which Home Assistant's part uses the rest of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from zkbridge.config.models import Device
from zkbridge.contract.messages import Publication


class Entity(Protocol):
    """What Home Assistant shows for a command. What each property means stands with the commands."""

    @property
    def key(self) -> str:
        """The last part of the entity's unique id."""

    @property
    def name(self) -> tuple[str, str]:
        """What people read, in Spanish and English."""

    @property
    def icon(self) -> str:
        """Home Assistant's name of a symbol."""


class Lock(Entity, Protocol):
    """A lock of a terminal, whose command opens the door for some seconds."""

    @property
    def refused(self) -> str:
        """A payload that the command refuses, for the order to lock."""


class Button(Entity, Protocol):
    """A button of a terminal, which publishes a command without a field."""

    @property
    def diagnostic(self) -> bool:
        """Whether it is shown among the diagnostics."""

    @property
    def while_away(self) -> bool:
        """Whether it can be pressed although the terminal does not answer."""

    @property
    def lock(self) -> Lock | None:
        """What is shown beside it as a lock, if anything."""

    @property
    def offered(self) -> Callable[[Device], bool]:
        """Whether a device has it."""


class HomeAssistantPorts(Protocol):
    """The ledger's facts, the broker, the scheduler, and the commands. For any thread; raises nothing."""

    def recall(self, subject: str, name: str, /) -> str | None:
        """Return a fact that was kept on disk, or None."""

    def keep(self, subject: str, name: str, value: str, /) -> None:
        """Keep a fact on disk."""

    def publish(self, publication: Publication, /) -> None:
        """Send a message if there is a connection; what is retained is published again on the next one anyway."""

    def later(self, key: Hashable, seconds: float, job: Callable[[], float | None], /) -> None:
        """Run a job in some seconds, and again in as many as it returns; a key that waits already is left alone."""

    def has_taken_all(self) -> bool:
        """Wait a little, and return whether the broker has confirmed everything that was published."""

    def buttons(self) -> Sequence[tuple[str, Button]]:
        """Return each command that has a button, with it, in the order of preference."""
