"""Never more unconfirmed messages than the broker accepts; each confirmation goes to the part that waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from zkbridge.config.login import LIMITS_PAGE, RIGHTS_PAGE
from zkbridge.contract.messages import TOO_LARGE, Publication, Token
from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.hooks import Hooks
from zkbridge.mqtt.refused_topics import RefusedTopics
from zkbridge.mqtt.send_queue import Sending, SendQueue
from zkbridge.mqtt.subscription_check import SubscriptionCheck


class Sender(Protocol):
    """A connection on which messages are published."""

    def send(self, publication: Publication, *, retain: bool) -> int:
        """Publish at QoS 1; its packet id. Raises ValueError for what MQTT cannot carry."""


class SendWindow:
    """What waits to be published and what the broker has to confirm, over all connections.

    paho ignores the broker's Receive Maximum, so this counts what is under way. `add` and `wait_until_empty` may be
    called from any thread, everything else from the one that talks to the broker. `login` is who the
    bridge is there, for sentences about refusals.
    """

    def __init__(
        self, hooks: Hooks, check: SubscriptionCheck, refused: RefusedTopics | None = None, *, login: str
    ) -> None:
        self._hooks = hooks
        self._login = login
        self._check = check
        self._refused = refused or RefusedTopics(rights=f"{login}; {RIGHTS_PAGE}")
        self._queue = SendQueue(self._refused)
        self._idle = threading.Condition()
        self._is_open = False

    @property
    def refused(self) -> list[str]:
        """The topics on which the broker takes none of the bridge's own messages."""
        return self._refused.topics

    @property
    def under_way(self) -> list[str]:
        """The topics of what the broker has still to confirm, each once."""
        return self._queue.under_way

    def begin(self) -> None:
        """Note that the broker has accepted a new connection."""
        self._refused.begin()

    def open(self) -> None:
        """Note that messages may be sent."""
        self._is_open = True

    def end(self, *, broken: bool) -> bool:
        """Forget what waits and what is under way: the connection is over; `broken` if the broker ended it.

        Returns whether it is known now which message the broker ended it for.
        """
        found = self._queue.end(broken=broken)
        if self._is_open:
            self._is_open = False
            self._queue.clear()
        self._notify()
        return found

    def add(self, token: Token | None, publication: Publication) -> None:
        """Let it be sent behind what waits."""
        self._queue.add(token, publication)

    def extend(self, publications: Iterable[Publication]) -> None:
        """Let messages without tokens be sent behind what waits."""
        self._queue.extend(publications)

    def wait_s(self) -> float:
        """Seconds until a message that was left out is tried again; may be infinite."""
        return self._refused.wait_s()

    def fill(self, sender: Sender, limits: BrokerLimits) -> None:
        """Send what waits, as much as the broker takes at once."""
        while (sending := self._queue.next(limits.in_flight)) is not None:
            mid = self._send(sender, limits, sending)
            if mid is None:
                self._queue.dropped()
            else:
                self._queue.sent(mid, sending)

    def confirmed(self, mid: int, refusal: str | None) -> None:
        """Note the broker's answer to a packet id; `refusal` says why it does not take the message."""
        sending = self._queue.confirmed(mid)
        if sending is not None:
            self._settle(sending, refusal)

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait until everything is confirmed or the connection is over; whether that was reached (seconds)."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._is_open or self._queue.is_empty, timeout)

    def _send(self, sender: Sender, limits: BrokerLimits, sending: Sending) -> int | None:
        """Send it; its packet id, or None if it cannot be sent and the part that waits for it knows."""
        publication = sending.publication
        if (refusal := limits.refusal(publication)) is not None:
            self._settle(sending, refusal)
            return None
        if publication.retain and not publication.payload and not limits.retain:
            return None  # there is nothing to clear
        try:
            return sender.send(publication, retain=publication.retain and limits.retain)
        except ValueError as error:  # MQTT itself cannot carry it
            if sending.token is not None:
                self._hooks.confirmed(sending.token, str(error))
            return None

    def _settle(self, sending: Sending, refusal: str | None) -> None:
        """Hand on that the broker took a message, or why it did not, for whom, and which page helps."""
        if refusal is not None:
            page = LIMITS_PAGE if refusal.startswith(TOO_LARGE) else RIGHTS_PAGE
            refusal += f"; {self._login}; {page}"
        topic = sending.publication.topic
        if sending.token is not None:
            self._hooks.confirmed(sending.token, refusal)
        elif self._check.confirmed(topic, refusal):
            pass  # it logs what there is to say
        elif refusal is not None:
            self._refused.refused(topic, refusal)
        else:
            self._refused.taken(topic)
        if self._queue.is_empty:
            self._notify()

    def _notify(self) -> None:
        with self._idle:
            self._idle.notify_all()
