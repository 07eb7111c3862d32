"""What the broker's side needs of the rest of the daemon."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from zkbridge.contract.messages import Message, Publication, Token
from zkbridge.contract.publish_packets import Unreadable
from zkbridge.mqtt.protocol_choice import ProtocolName


class Hooks(Protocol):
    """What the broker's side needs of the rest of the daemon; every method is called from its one thread."""

    def receive(self, messages: Iterable[Message]) -> None:
        """Keep messages; they are acknowledged when this returns, and not if it raises."""

    def unreadable(self, packets: Iterable[Unreadable]) -> None:
        """Note packets that are no messages; they are acknowledged when this returns."""

    def next_connection(self) -> int:
        """A number for a new connection."""

    def retained(self) -> Iterable[Publication]:
        """Everything retained, published again on every connect."""

    def connected(self, protocol: ProtocolName, largest: int | None) -> None:
        """The session has begun; `largest` is the largest packet that the broker accepts, if it says."""

    def disconnected(self) -> None:
        """The connection has ended; nothing under way was confirmed."""

    def confirmed(self, token: Token, refusal: str | None) -> None:
        """The broker accepted or refused the message that was published under a token."""

    def overheard(self, topic: str, payload: bytes) -> None:
        """A message on a watched topic."""

    def fail(self, error: BaseException) -> None:
        """The broker's thread has ended by an error: there will be no further connection."""

    def recall(self, name: str) -> str | None:
        """A fact remembered about the broker."""

    def remember(self, name: str, value: str) -> None:
        """Keep a fact about the broker."""
