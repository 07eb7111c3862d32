"""What the bridge does when something happens at the broker."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

from zkbridge.bridge.availability import Availability
from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.bridge.link import Link
from zkbridge.bridge.own_messages import OwnMessages
from zkbridge.bridge.pulse import Pulse
from zkbridge.bridge.reception import Reception
from zkbridge.contract.messages import Message, Publication, PunchToken, Token
from zkbridge.contract.publish_packets import Unreadable
from zkbridge.homeassistant.publisher import HomeAssistant
from zkbridge.intake.keeper import Keeper
from zkbridge.ledger.ledger import Ledger
from zkbridge.mqtt.client import Mqtt
from zkbridge.mqtt.protocol_choice import ProtocolName
from zkbridge.outbox.punches import Announcer
from zkbridge.outbox.replies import Outbox
from zkbridge.outbox.short_reply import ReplyRoom
from zkbridge.runtime.scheduler import Supervisor

log = logging.getLogger(__name__)


class Receivers(NamedTuple):
    """The parts that handle events at the broker."""

    reception: Reception
    keeper: Keeper
    outbox: Outbox
    announcer: Announcer
    availability: Availability
    homeassistant: HomeAssistant
    pulse: Pulse
    mqtt: Mqtt
    dispatch: ReplyDispatch


class BrokerHooks:
    """Passes on what `mqtt` reports, from its one thread (`mqtt.client.Hooks`).

    Until `serve` was called, which must be before `Mqtt.start`, only facts are recalled and kept.
    """

    def __init__(
        self, ledger: Ledger, link: Link, own: OwnMessages, *, room: ReplyRoom, supervisor: Supervisor
    ) -> None:
        self._ledger = ledger
        self._link = link
        self._own = own
        self._room = room
        self._supervisor = supervisor
        self._to: Receivers

    def serve(self, receivers: Receivers) -> None:
        """Report to these parts from now on."""
        self._to = receivers

    def receive(self, messages: Iterable[Message]) -> None:
        """Keep messages from the broker. Raises LedgerUnavailable."""
        self._to.reception.receive(messages)

    def unreadable(self, packets: Iterable[Unreadable]) -> None:
        """Set packets aside that cannot be read."""
        for packet in packets:
            self._to.keeper.give_up_unread(packet.topic, self._ledger.digest(packet.content), packet.reason)

    def next_connection(self) -> int:
        """The number of the next connection. Raises LedgerUnavailable."""
        return self._link.begin()

    def retained(self) -> list[Publication]:
        """State, info, every device's availability, Home Assistant's messages; and the health, last."""
        return [
            self._own.state("online"),
            self._own.info(),
            *self._to.availability.retained(),
            *self._to.homeassistant.retained(),
            self._to.pulse.health(),
        ]

    def connected(self, protocol: ProtocolName, largest: int | None) -> None:
        """Online: the info has the protocol in use, the outbox may send."""
        self._link.connected(protocol)
        self._room.follow(largest)
        self._to.outbox.online(largest)
        self._to.announcer.online()
        self._link.online.set()

    def disconnected(self) -> None:
        """The connection has ended; nothing under way was confirmed."""
        self._link.disconnected()
        self._to.outbox.offline()
        self._to.announcer.offline()

    def confirmed(self, token: Token, refusal: str | None) -> None:
        """The broker accepted or refused an answer, or a punch."""
        if isinstance(token, PunchToken):
            self._to.announcer.confirmed(token, refusal)
        else:
            self._to.outbox.confirmed(token, refusal)
            self._to.dispatch.scrub_soon()  # what was read need not stay

    def overheard(self, topic: str, payload: bytes) -> None:
        """The bridge's own messages, and Home Assistant's birth.

        A late will of an earlier run must not leave this one marked offline; and the health of this connection comes
        behind whatever waited at the broker.
        """
        self._to.homeassistant.overheard(topic, payload)
        self._to.announcer.echoed(topic, payload)
        self._own.note_health(topic, payload)
        if self._own.is_late_will(topic, payload):
            log.info("an earlier run was declared offline only now; saying online again")
            self._to.mqtt.publish(None, self._own.state("online"))

    def fail(self, error: BaseException) -> None:
        """End the daemon."""
        self._supervisor.fail(error)

    def recall(self, name: str) -> str | None:
        """A fact about the broker."""
        return self._ledger.facts.recall("mqtt", name)

    def remember(self, name: str, value: str) -> None:
        """Keep a fact about the broker, if the disk takes it."""
        self._ledger.facts.keep("mqtt", name, value)
