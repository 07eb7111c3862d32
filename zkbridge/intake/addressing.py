"""Where a reply may go that its caller wants on a topic of its own (contract section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from zkbridge.config.models import Config
from zkbridge.contract.topics import BRIDGE, Topics, is_publishable, matches

#: Callers use the same few topics again and again, so the decisions on short ones are remembered (bytes, number).
_REMEMBERED_TOPICS, _REMEMBERED_LENGTH = 256, 256


class Addressing:
    """Decides on Response Topics. `commands` are the names in the registry, `subscribed` the bridge's own filters."""

    def __init__(self, config: Config, commands: Iterable[str], subscribed: Iterable[str]) -> None:
        self._base = config.mqtt.base_topic
        self._allowed = config.mqtt.response_topics
        self._own = (*subscribed, *own_topics(config, commands))
        self._remembered = lru_cache(maxsize=_REMEMBERED_TOPICS)(self._decide)

    def allows(self, topic: str, device: str) -> bool:
        """Whether the reply to a request for this device may go to the topic."""
        decide = self._remembered if len(topic) <= _REMEMBERED_LENGTH else self._decide
        return decide(topic, device)

    def _decide(self, topic: str, device: str) -> bool:
        if not is_publishable(topic) or any(matches(pattern, topic) for pattern in self._own):
            return False
        filled = (pattern.replace("{base}", self._base).replace("{device}", device) for pattern in self._allowed)
        return any(matches(pattern, topic) for pattern in filled)


def own_topics(config: Config, commands: Iterable[str]) -> list[str]:
    """Filters for every topic on which the bridge takes commands, answers, or reports: no Response Topic may be one.

    Otherwise a caller could have a genuine reply of the bridge stand where somebody else reads another one.
    """
    topics, prefix = Topics(config.mqtt.base_topic), config.homeassistant.prefix
    own = [f"{config.mqtt.base_topic}/{BRIDGE}/#"]
    own += [topics.availability("+"), topics.punches("+"), topics.status("+")]
    for name in commands:
        own += [topics.command("+", name), topics.reply("+", name), topics.progress("+", name)]
    # Home Assistant's discovery: <prefix>/<component>/[<node>/]<object>/config, and its birth message.
    return [*own, f"{prefix}/+/+/config", f"{prefix}/+/+/+/config", f"{prefix}/status"]
