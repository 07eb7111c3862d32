"""Tries whether the bridge could work with the broker, by one connection that leaves nothing behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from zkbridge.config.login import BROKER_PAGE, login_of, named, rights_of
from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Publication
from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.diagnosis import Diagnosis, tls_context
from zkbridge.mqtt.protocol_choice import CONNECT_TIMEOUT_S, ProtocolName
from zkbridge.mqtt.reasons import (
    MUTE,
    NO_RETAIN,
    QOS_0_ONLY,
    RETAIN_NOT_SUPPORTED,
    SILENT,
    refusal,
    refuses_version,
)
from zkbridge.mqtt.subscription_check import PROBE

#: How long an echo may take after the broker has confirmed all of them (seconds).
ECHO_S = 2.0


class Will(Enum):
    """The last will of a connection, from what the bridge needs to none."""

    RETAINED = "at QoS 1, retained"
    NOT_RETAINED = "at QoS 1"
    NONE = "none"


@dataclass(frozen=True)
class Plan:
    """What a run asks of the broker: filters, topics on which they are tried, and its last will.

    `published` maps topics like those on which the bridge publishes to what it publishes there.
    """

    filters: tuple[str, ...] = ()
    echoes: Mapping[str, str] = field(default_factory=dict)
    will: Publication | None = None
    published: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """The result: without a problem a run works; `notes` are what it works without."""

    protocol: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def try_out(settings: Settings, plan: Plan) -> Trial:
    """Connect as the bridge does, with another client id; subscribe, and try the subscriptions."""
    protocols: tuple[ProtocolName, ...] = ("5", "3.1.1") if settings.protocol == "auto" else (settings.protocol,)
    diagnosis = Diagnosis(settings)
    attempt: _Attempt | None = None
    about = f"({login_of(settings)}; {BROKER_PAGE})"
    if (problem := diagnosis.of_handshake()) is not None:
        return Trial(protocols[0], (f"{problem} {about}",))
    for protocol in protocols:
        try:
            attempt = _attempt(settings, protocol, plan)
        except (OSError, ValueError) as error:
            return Trial(protocol, (diagnosis.of_error(error),))
        if attempt.accepted or not attempt.is_another_version_worth_it:
            break
    assert attempt is not None
    if not attempt.accepted and attempt.refused is None:
        cause = None if plan.will is None or attempt.mute else of_will(settings, attempt.protocol, plan.will)
        cause = cause or diagnosis.of_silence()
        return Trial(attempt.protocol, (f"{MUTE if attempt.mute and cause == SILENT else cause} {about}",))
    return Trial(attempt.protocol, tuple(attempt.problems()), tuple(attempt.notes()))


def _attempt(settings: Settings, protocol: ProtocolName, plan: Plan) -> _Attempt:
    attempt = _Attempt(settings, protocol, plan, Will.RETAINED)
    attempt.run()
    if attempt.refused is not None and attempt.refused.value == RETAIN_NOT_SUPPORTED:  # as a run does
        attempt = _Attempt(settings, protocol, plan, Will.NOT_RETAINED)
        attempt.run()
    return attempt


def of_will(settings: Settings, protocol: ProtocolName, will: Publication) -> str | None:
    """Whether the last will is why a broker closes the connection without a reason code; None if it is not."""
    for kind, why in ((Will.NOT_RETAINED, NO_RETAIN), (Will.NONE, QOS_0_ONLY)):
        attempt = _Attempt(settings, protocol, Plan(will=will), kind)
        try:
            attempt.greet()
        except OSError:
            return None
        attempt.leave()
        if attempt.accepted:
            return f"{why} (found out by MQTT {protocol}: it closes the connection without a word)"
        if attempt.refused is not None:
            return None
    return None


class _Attempt:
    """One connection; `run` makes it, and its result is read afterwards. Raises what connecting raises."""

    def __init__(self, settings: Settings, protocol: ProtocolName, plan: Plan, will: Will) -> None:
        self.protocol: ProtocolName = protocol
        self.refused: ReasonCode | None = None
        self._end: Literal["accepted", "mute", "closed"] = "closed"
        self._settings = settings
        self._plan = plan
        self._limits = BrokerLimits(settings.keepalive)
        self._asked: dict[int, tuple[str, ...]] = {}
        self._granted: dict[str, ReasonCode] = {}
        self._sent: dict[int, str] = {}
        self._answered: dict[str, ReasonCode] = {}
        self._heard: set[str] = set()
        self._client = self._make(will)

    @property
    def accepted(self) -> bool:
        """Whether the broker accepted the connection."""
        return self._end == "accepted"

    @property
    def mute(self) -> bool:
        """Whether the broker neither answered CONNECT nor closed the connection."""
        return self._end == "mute"

    @property
    def _client_id(self) -> str:
        """A client id of its own: with the bridge's the broker would end the connection of a running bridge."""
        return f"{self._settings.client_id}-check"

    @property
    def is_another_version_worth_it(self) -> bool:
        """Whether the broker may know only the older version: it says so, or does not answer."""
        return self.refused is None or refuses_version(self.refused)

    def run(self) -> None:
        """Connect, subscribe, try the subscriptions, leave."""
        self.greet()
        if self.accepted and self._limits.max_qos > 0:
            self._subscribe()
            self._probe()
        self.leave()

    def greet(self) -> None:
        """Connect and wait for CONNACK."""
        self._client.connect(self._settings.host, self._settings.port, self._settings.keepalive)
        self._until(lambda: self.accepted or self.refused is not None, CONNECT_TIMEOUT_S)
        if not self.accepted and self.refused is None and self._client.socket() is not None:
            self._end = "mute"

    def leave(self) -> None:
        """Disconnect cleanly, so that no will is published and no session stays."""
        self._client.disconnect()
        self._client.loop(timeout=0)

    def problems(self) -> list[str]:
        """A sentence for each missing thing that a run needs."""
        about = f"({login_of(self._settings)}; {BROKER_PAGE})"
        if self.refused is not None:
            return [f"{refusal(self.refused, client_id=self._client_id)} {about}"]
        if self._limits.max_qos == 0:
            return [f"{QOS_0_ONLY} {about}"]
        found = [*self._of_subscriptions(), *self._of_echoes(), *self._of_published()]
        question = f"does its access list allow the base topic {self._settings.base_topic!r}?"
        return [f"{each}; {question} ({rights_of(self._settings)})" for each in found]

    def notes(self) -> list[str]:
        """A sentence for each missing thing that a run can work without."""
        return self._limits.shortcomings(session_expiry_s=0, filters=self._plan.filters)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _of_subscriptions(self) -> list[str]:
        missing = [wish for wish in self._plan.filters if wish not in self._granted]
        if missing:
            return [f"it does not answer the subscription to {named(missing)}"]
        refused = [wish for wish, reason in self._granted.items() if reason.is_failure]
        poor = [wish for wish, reason in self._granted.items() if reason.value == 0]
        told = [f"it refuses the subscription to {named(refused)} ({self._granted[refused[0]]})"] if refused else []
        return told + ([f"it grants QoS 0 only for {named(poor)}"] if poor else [])

    def _of_echoes(self) -> list[str]:
        echoes = self._plan.echoes.values()
        refused = [topic for topic, reason in self._answered.items() if reason.is_failure and topic in echoes]
        if refused:
            return [f"it refuses what is published on {named(refused)} ({self._answered[refused[0]]})"]
        tried = [topic for wish, topic in self._plan.echoes.items() if self._is_granted(wish)]
        unheard = [topic for topic in tried if topic not in self._heard]
        if unheard and len(self._answered) < len(self._sent):
            return [f"it closes the connection when something is published on {named(unheard)}"]
        return [f"what is published on {named(unheard)} does not come back"] if unheard else []

    def _of_published(self) -> Iterator[str]:
        """A sentence for each kind of message that would reach no subscriber."""
        for what in dict.fromkeys(self._plan.published.values()):
            topics = [topic for topic, kind in self._plan.published.items() if kind == what]
            answers = {topic: self._answered[topic] for topic in topics if topic in self._answered}
            refused = [topic for topic, reason in answers.items() if reason.is_failure]
            unheard = [topic for topic in answers if self._is_granted(topic) and topic not in self._heard]
            if refused:
                yield f"{what} would reach nobody: it refuses what is published on {named(refused)}"
            elif unheard:
                said = "is confirmed and does not come back"
                yield f"{what} may reach nobody: what is published on {named(unheard)} {said}"

    def _is_granted(self, wish: str) -> bool:
        reason = self._granted.get(wish)
        return reason is not None and not reason.is_failure

    def _make(self, will: Will) -> paho.Client:
        five = self.protocol == "5"
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        if self._settings.tls is not None:
            client.tls_set_context(tls_context(self._settings))
        if self._plan.will is not None and will is not Will.NONE:
            # It is never sent: the connection is left in order, and where it breaks a bridge that runs corrects it.
            client.will_set(self._plan.will.topic, self._plan.will.payload, qos=1, retain=will is Will.RETAINED)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = lambda _client, _data, raw: self._heard.add(raw.topic)
        return client

    def _subscribe(self) -> None:
        # Over MQTT 3.1.1 only what comes back was taken: a PUBACK reports no refusal.
        own = self._plan.published if self.protocol == "3.1.1" else ()
        for some in self._limits.packets([*self._plan.filters, *own]):
            _, mid = self._client.subscribe([(wish, 1) for wish in some])
            if mid is not None:
                self._asked[mid] = some
        self._until(lambda: not self._asked, CONNECT_TIMEOUT_S)

    def _probe(self) -> None:
        echoes = {topic for wish, topic in self._plan.echoes.items() if self._is_granted(wish)}
        for topic in sorted(echoes | self._plan.published.keys()):
            self._sent[self._client.publish(topic, PROBE, qos=1).mid] = topic
        self._until(lambda: len(self._answered) == len(self._sent), CONNECT_TIMEOUT_S)
        taken = {topic for topic, reason in self._answered.items() if not reason.is_failure}
        self._until(
            lambda: {topic for topic in taken if topic in echoes or self._is_granted(topic)} <= self._heard, ECHO_S
        )

    def _until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Run paho's loop until a condition holds, the connection is gone, or the time is up."""
        deadline = time.monotonic() + timeout_s
        while not done() and time.monotonic() < deadline:
            if self._client.loop(timeout=0.1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, props: Properties | None) -> None:
        if reason.is_failure:
            self.refused = reason
            return
        self._end = "accepted"
        self._limits = BrokerLimits.of(props, keepalive_s=self._settings.keepalive, session_expiry_s=0)

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _props: Any) -> None:
        self._granted.update(zip(self._asked.pop(mid, ()), reasons, strict=False))

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _props: Any) -> None:
        self._answered[self._sent.get(mid, "")] = reason
