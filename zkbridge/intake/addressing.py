"""Decides whether a reply may go to the caller's Response Topic (contract section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from zkbridge.config.models import Config
from zkbridge.contract.errors import FieldFault
from zkbridge.contract.messages import Message
from zkbridge.contract.topics import BRIDGE, Topics, is_publishable, matches

#: Callers use the same few topics again and again, so the decisions on short ones are remembered (bytes, number).
_REMEMBERED_TOPICS, _REMEMBERED_LENGTH = 256, 256

#: Bytes that the ledger keeps of where an answer goes; what is longer is refused. MQTT itself allows 65,535 of each.
LONGEST_RESPONSE_TOPIC, LONGEST_CORRELATION = 512, 1024


class Addressing:
    """Decides on Response Topics. `commands` are the names in the registry, `subscribed` the bridge's own filters."""

    def __init__(self, config: Config, commands: Iterable[str], subscribed: Iterable[str]) -> None:
        self._base = config.mqtt.base_topic
        self._allowed = config.mqtt.response_topics
        self._own = (*subscribed, *own_topics(config, commands))
        self._remembered = lru_cache(maxsize=_REMEMBERED_TOPICS)(self._decide)

    def allows(self, topic: str, device: str) -> bool:
        """Whether the reply to a request for this device may go to the topic."""
        if _size(topic) > LONGEST_RESPONSE_TOPIC:
            return False
        decide = self._remembered if len(topic) <= _REMEMBERED_LENGTH else self._decide
        return decide(topic, device)

    def _decide(self, topic: str, device: str) -> bool:
        if not is_publishable(topic) or any(matches(pattern, topic) for pattern in self._own):
            return False
        filled = (pattern.replace("{base}", self._base).replace("{device}", device) for pattern in self._allowed)
        return any(matches(pattern, topic) for pattern in filled)


def oversized(message: Message) -> list[FieldFault]:
    """The faults of a Response Topic or Correlation Data that is longer than the ledger keeps."""
    sizes = [
        ("response_topic", _size(message.response_topic), LONGEST_RESPONSE_TOPIC),
        ("correlation_data", _size(message.correlation_data), LONGEST_CORRELATION),
    ]
    return [
        FieldFault(name, "too_many_bytes", {"size": size, "limit": limit})
        for name, size, limit in sizes
        if size > limit
    ]


def kept_correlation(message: Message) -> bytes | None:
    """The Correlation Data that comes back with the answer; none if it is longer than the ledger keeps."""
    return message.correlation_data if _size(message.correlation_data) <= LONGEST_CORRELATION else None


def _size(value: str | bytes | None) -> int:
    if value is None:
        return 0
    return len(value) if isinstance(value, bytes) else len(value.encode("utf-8", "surrogatepass"))


def own_topics(config: Config, commands: Iterable[str]) -> list[str]:
    """Filters for every topic on which the bridge takes commands, answers, or reports: no Response Topic may be one.

    Otherwise a caller could have a genuine reply appear on a topic where another client expects something else.
    """
    topics, prefix = Topics(config.mqtt.base_topic), config.homeassistant.prefix
    own = [f"{config.mqtt.base_topic}/{BRIDGE}/#"]
    own += [topics.availability("+"), topics.punches("+"), topics.user_events("+"), topics.status("+")]
    for name in commands:
        own += [topics.command("+", name), topics.reply("+", name), topics.progress("+", name)]
    # Home Assistant's discovery: <prefix>/<component>/[<node>/]<object>/config, and its birth message.
    return [*own, f"{prefix}/+/+/config", f"{prefix}/+/+/+/config", f"{prefix}/status"]
