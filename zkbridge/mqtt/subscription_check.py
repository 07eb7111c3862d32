"""Checks that the broker delivers what it granted: every subscription is tried with a probe.

A subscription that was granted proves nothing: Mosquitto 2.0 grants filters that its access list forbids, and then
delivers nothing. So the bridge publishes a probe on a topic that each filter covers and that is no device's, and waits
for it to come back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from zkbridge.contract.errors import BodyRequired
from zkbridge.contract.messages import parse_object

log = logging.getLogger(__name__)

#: The payload of a probe that the bridge publishes to itself; other subscribers ignore it.
PROBE = b'{"probe":true}'
#: How long after the last sign of the broker an echo is late, and at most after it was asked for (seconds).
ECHO_S, PATIENCE_S = 5.0, 60.0
#: Seconds between attempts on a subscription whose probe did not come back.
AGAIN_S = 60.0
#: Some brokers end the connection when a client publishes what is forbidden; so does a restart. Twice in a row counts.
HANG_UPS = 2


class _EchoTimer:
    """When echoes are late, and when to publish a missing one's probe again. For one thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked = self._next = float("inf")
        self.listening = False

    @property
    def wait_s(self) -> float:
        return max(0.0, self._next - self._clock())

    def ask(self) -> None:
        self._asked = self._clock()
        self._next = self._asked + ECHO_S
        self.listening = True

    def heard(self) -> None:
        if self.listening:
            # The echo stands behind whatever waited at the broker.
            self._next = min(self._clock() + ECHO_S, self._asked + PATIENCE_S)

    def stop(self, *, ask_again: bool = False) -> None:
        self.listening = False
        self._next = self._clock() + AGAIN_S if ask_again else float("inf")


class SubscriptionCheck:
    """What has come back on this connection. For one thread; logs what an operator should know.

    `echoes` maps each filter to the topic that tries it. Messages that the bridge publishes on every connection anyway
    (`spoken`) serve as probes; on the other topics `PROBE` is to be published whenever `begin` or `look` ask for it.
    `published` maps topics that stand for what the bridge publishes to what that is; they are tried over MQTT 3.1.1.
    `rights` is what the log ends a refusal with.
    """

    def __init__(
        self,
        echoes: Mapping[str, str],
        *,
        spoken: Iterable[str] = (),
        published: Mapping[str, str] | None = None,
        rights: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rights = rights
        self._filters = {topic: wish for wish, topic in echoes.items()}
        self._spoken = frozenset(spoken)
        self._published = dict(published or {})
        self._probes = frozenset(self._filters) - self._spoken
        self._timer = _EchoTimer(clock)
        self._unheard: set[str] = set()
        self._unconfirmed: set[str] = set()
        self._refused: set[str] = set()
        self._told: frozenset[str] = frozenset()
        self._turned_away: frozenset[str] = frozenset()
        self._hang_ups = 0

    @property
    def unserved_subscriptions(self) -> list[str]:
        """The filters that the broker refused, or whose echo stayed away, as far as is known."""
        return sorted(self._filters[topic] for topic in (self._told | self._turned_away) & self._filters.keys())

    @property
    def untaken(self) -> list[str]:
        """The topics of `published` whose echo stayed away: the broker confirms what it does not take."""
        return sorted(self._told & self._published.keys())

    def begin(self, *, refused: Iterable[str] = (), tells_refusals: bool = True) -> list[str]:
        """Begin a connection; return the topics on which to publish the probe now, without those of refused filters.

        `tells_refusals`: a PUBACK of this connection says whether the broker took the message (MQTT 5).
        """
        no = set(refused)
        self._turned_away = frozenset(topic for topic, wish in self._filters.items() if wish in no)
        tried = set() if tells_refusals else self._published.keys() - no
        self._probes = frozenset((self._filters.keys() - self._spoken) | tried)
        wanted = (self._filters.keys() - self._turned_away) | tried
        self._unheard = set(wanted if self._may_probe else wanted & self._spoken)
        self._told = frozenset()
        return self._ask()

    def look(self) -> list[str]:
        """Judge what is late; the topics on which to publish the probe again."""
        if self._timer.wait_s > 0:
            return []
        if not self._timer.listening:
            return self._ask()
        self._timer.stop(ask_again=bool(self._unheard))
        self._tell()
        return []

    def wait_s(self) -> float:
        """Seconds until there is something to look at; may be infinite."""
        return self._timer.wait_s

    def take(self, topic: str, payload: bytes) -> bool:
        """Take a message; return whether it was one of the bridge itself, and so no command."""
        self._timer.heard()
        if topic in self._unheard:
            self._unheard.discard(topic)
            if not self._unheard:
                log.debug("everything subscribed to is heard")
        if topic in self._told:
            if topic in self._published:
                log.info("%s are taken on %s again", self._published[topic], topic)
            else:
                log.info("commands on %s are heard again", self._filters[topic])
            self._told -= {topic}
        if payload == PROBE:  # on `spoken` topics it is that of `zkbridge check`
            return topic in self._probes or topic in self._spoken
        return topic in self._spoken and _is_report(payload)

    def confirmed(self, topic: str, refusal: str | None) -> bool:
        """The broker took or refused a publication; whether it was a probe."""
        if topic not in self._unconfirmed:
            return False
        self._unconfirmed.discard(topic)
        if refusal is not None:
            self._unheard.discard(topic)
            self._refused.add(topic)
        if not self._unconfirmed:
            self._hang_ups = 0
            self._tell_refusals(refusal)
        return True

    def end(self, *, innocent: bool = False) -> None:
        """The connection has ended; `innocent` if the broker is known to have ended it for another message."""
        self._timer.stop()
        if innocent:
            self._unconfirmed.clear()
            self._hang_ups = 0
        if not self._unconfirmed:
            return
        self._unconfirmed.clear()
        self._hang_ups += 1
        if self._hang_ups == HANG_UPS:
            log.warning(
                "the broker hung up twice when the bridge tried whether it is heard on %s (%s); "
                "it is not tried again, and whether commands arrive is not known",
                ", ".join(sorted(self._probes)),
                self._rights,
            )

    @property
    def _may_probe(self) -> bool:
        return self._hang_ups < HANG_UPS

    def _ask(self) -> list[str]:
        self._timer.ask()
        self._refused.clear()
        self._unconfirmed = self._unheard & self._probes
        return sorted(self._unconfirmed)

    def _tell(self) -> None:
        news = frozenset(self._unheard)
        if news != self._told:
            self._tell_deaf(news & self._filters.keys())
            self._tell_untaken(news & self._published.keys())
        self._told = news

    def _tell_deaf(self, news: Collection[str]) -> None:
        if news:
            log.error(
                "deaf to %s: the broker granted the subscription, but what the bridge publishes on %s does not come "
                "back; does its access list allow to read the one and to write the other? (%s)",
                ", ".join(sorted(self._filters[topic] for topic in news)),
                ", ".join(sorted(news)),
                self._rights,
            )

    def _tell_untaken(self, news: Collection[str]) -> None:
        for what in sorted({self._published[topic] for topic in news}):
            log.error(
                "%s may reach nobody: the broker confirms what the bridge publishes on %s and does not bring it back; "
                "does its access list allow to write and to read there? MQTT 3.1.1 does not report a refusal (%s)",
                what,
                ", ".join(sorted(topic for topic in news if self._published[topic] == what)),
                self._rights,
            )

    def _tell_refusals(self, reason: str | None) -> None:
        if self._refused:
            log.warning(
                "the broker refuses what is published on %s (%s): whether commands are heard is not known",
                ", ".join(sorted(self._refused)),
                reason or f"in part; {self._rights}",
            )


def _is_report(payload: bytes) -> bool:
    """Whether a bridge published this about itself: state, info and health name its instance, no command does."""
    try:
        return isinstance(parse_object(payload).get("instance"), str)
    except BodyRequired:
        return False
