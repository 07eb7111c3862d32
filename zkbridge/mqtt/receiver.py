"""Keep what has arrived with one commit, then acknowledge it, in order."""

from __future__ import annotations

import logging
from typing import Protocol

import paho.mqtt.client as paho

from zkbridge.contract.messages import Message
from zkbridge.contract.publish_packets import Unreadable
from zkbridge.mqtt.connection_state import ConnectionClosed, ConnectionState
from zkbridge.mqtt.delivery_delay import DeliveryDelay
from zkbridge.mqtt.hooks import Hooks
from zkbridge.mqtt.publish_packets import message_of
from zkbridge.mqtt.subscription_check import SubscriptionCheck
from zkbridge.mqtt.subscriptions import Subscriptions

log = logging.getLogger(__name__)

#: Messages kept with one commit.
BATCH = 200


class Acknowledger(Protocol):
    """A connection on which messages are acknowledged by hand."""

    def ack(self, mid: int, qos: int) -> object:
        """Send the PUBACK of a packet id."""


class Receiver:
    """The messages of one connection between their arrival and their acknowledgement. For one thread."""

    def __init__(
        self,
        client: Acknowledger,
        state: ConnectionState,
        hooks: Hooks,
        check: SubscriptionCheck,
        delay: DeliveryDelay,
    ) -> None:
        self._client = client
        self._state = state
        self._hooks = hooks
        self._check = check
        self._delay = delay
        self._arrived: list[paho.MQTTMessage | Unreadable] = []

    @property
    def is_full(self) -> bool:
        """Whether a batch is complete."""
        return len(self._arrived) >= BATCH

    def add(self, raw: paho.MQTTMessage | Unreadable) -> None:
        """Take what has arrived."""
        self._arrived.append(raw)

    def settle(self, subscriptions: Subscriptions) -> None:
        """Keep what has arrived, then acknowledge it. Raises ConnectionClosed if it cannot be kept."""
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        waited_s = self._delay.waited_s()  # before this batch is looked at: an echo in it proves nothing of it
        read = [message_of(raw, connection=self._state.number, waited_s=waited_s) for raw in arrived]
        self._hooks.unreadable([each for each in read if isinstance(each, Unreadable)])
        messages = [each for each in read if isinstance(each, Message)]
        watched = [message for message in messages if subscriptions.is_watched(message.topic)]
        # Every message passes `_is_own`, watched or not: the checks learn from each.
        others = [message for message in messages if not self._is_own(message)]
        commands = [message for message in others if not subscriptions.is_watched(message.topic)]
        if commands:
            self._keep(commands)
        for message in watched:  # after the commands: the bridge's own echo marks older commands as judged
            self._overhear(message)
        for raw in arrived:
            if raw.qos and raw.mid:
                self._client.ack(raw.mid, raw.qos)

    def _keep(self, commands: list[Message]) -> None:
        try:
            self._hooks.receive(commands)
        except Exception as error:
            lost = sum(1 for message in commands if message.qos == 0)
            log.error(  # noqa: TRY400 - the cause is logged in one line, again and again while a disk is full
                "%d messages could not be kept (%s); they are not acknowledged, the broker will bring them again%s",
                len(commands),
                error,
                f", but not the {lost} that came at QoS 0" if lost else "",
            )
            self._state.unreadable = True  # this end of the connection is no other client's doing
            raise ConnectionClosed("what it brought could not be kept") from error

    def _overhear(self, message: Message) -> None:
        try:
            self._hooks.overheard(message.topic, message.payload)
        except Exception:  # it would come again for ever, and every command with it
            log.exception("a message on a topic of the bridge's own is ignored")

    def _is_own(self, message: Message) -> bool:
        own = self._check.take(message.topic, message.payload)
        if own:
            self._delay.take(message.topic)
        return own
