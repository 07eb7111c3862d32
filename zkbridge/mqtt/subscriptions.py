"""What the bridge subscribes to, and what the broker answered to that on one connection."""

from __future__ import annotations

import logging
from typing import NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from zkbridge.mqtt.connection_state import ConnectionState
from zkbridge.mqtt.hooks import Hooks
from zkbridge.mqtt.protocol_choice import ProtocolName

log = logging.getLogger(__name__)


class Subscriptions(NamedTuple):
    """Topic filters, by what becomes of a message on them.

    `filters` are the commands: `Hooks.receive`. `watched` topics go to `Hooks.overheard`. So do `echoed` filters, which
    cover what the bridge itself publishes: it subscribes to them over MQTT 3.1.1 only, whose PUBACK reports no refusal.
    So it does to `tried`, topics on which it checks that the broker accepts what it publishes.
    Those of `filters` that are in `state` also bring what was retained before they were subscribed to.
    """

    filters: tuple[str, ...]
    watched: frozenset[str] = frozenset()
    echoed: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    state: frozenset[str] = frozenset()

    def wanted(self, protocol: ProtocolName) -> list[str]:
        """Every filter to subscribe to, each once, in order."""
        silent = (*self.echoed, *self.tried) if protocol == "3.1.1" else ()
        return [*self.filters, *sorted(self.watched), *silent]

    def is_watched(self, topic: str) -> bool:
        """Whether a message on a topic goes to `Hooks.overheard`."""
        return (
            topic in self.watched
            or topic in self.tried
            or any(paho.topic_matches_sub(each, topic) for each in self.echoed)
        )


class Subscriber:
    """The SUBSCRIBE packets of one connection and their answers. For one thread."""

    def __init__(self, client: paho.Client, state: ConnectionState, hooks: Hooks, *, rights: str) -> None:
        self._client = client
        self._rights = rights
        self._state = state
        self._hooks = hooks
        self._asked_for: dict[int, tuple[str, ...]] = {}

    def subscribe(self, subscriptions: Subscriptions) -> None:
        """Ask for these, and give up what was asked for by an earlier configuration."""
        limits = self._state.limits
        wanted = subscriptions.wanted(self._state.protocol)
        before = (self._hooks.recall("filters") or "").split()
        for some in limits.packets(known for known in before if known not in wanted):
            self._client.unsubscribe(list(some))
        for some in limits.packets(wanted):
            mid = self._send(some, subscriptions.state)
            if mid is not None:
                self._asked_for[mid] = some
        self._count()
        if before != wanted:
            self._hooks.remember("filters", " ".join(wanted))

    def answered(self, mid: int, reasons: list[ReasonCode], subscriptions: Subscriptions) -> None:
        """Note a SUBACK; what it refuses is logged and kept in the connection's state."""
        for wish, reason in zip(self._asked_for.pop(mid, ()), reasons, strict=False):
            if not reason.is_failure:
                continue
            self._state.refused_filters.append(wish)
            if wish in (*subscriptions.echoed, *subscriptions.tried):
                log.warning(
                    "the broker refuses the subscription to %s (%s; %s): what it does not take there is not noticed",
                    *(wish, reason, self._rights),
                )
            else:
                log.error(
                    "the broker refuses the subscription to %s (%s; %s): no such command will be heard",
                    *(wish, reason, self._rights),
                )
        self._count()

    def _send(self, filters: tuple[str, ...], state: frozenset[str]) -> int | None:
        if self._state.protocol == "3.1.1":
            return self._client.subscribe([(wish, 1) for wish in filters])[1]
        return self._client.subscribe([(wish, _options(is_state=wish in state)) for wish in filters])[1]

    def _count(self) -> None:
        self._state.unanswered = tuple(wish for some in self._asked_for.values() for wish in some)


def _options(*, is_state: bool) -> SubscribeOptions:
    """Retain as published, so that a retained command is seen as one.

    Retain handling (MQTT 5, 3.3.1.3) 2: nothing retained comes on subscribing; 1: it comes where the broker has lost
    the subscription, or has a new one.
    """
    return SubscribeOptions(qos=1, noLocal=False, retainAsPublished=True, retainHandling=1 if is_state else 2)
