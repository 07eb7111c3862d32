"""The present configuration, and the subscriptions that follow from it."""

from __future__ import annotations

from collections.abc import Mapping

from zkbridge.bridge.subscriptions import (
    command_filters,
    delay_limit_s,
    document_filters,
    published_shapes,
    punch_filters,
)
from zkbridge.commands import Command
from zkbridge.commands.desired.state import DOCUMENT
from zkbridge.config.models import Config
from zkbridge.contract.plans import DESIRED
from zkbridge.contract.topics import Topics
from zkbridge.homeassistant.publisher import own_filters


class CurrentConfig:
    """Holds the present configuration; a reload replaces it as a whole. Any thread may read it.

    `commands` are those that callers can ask for, `all_commands` also those that only other commands can ask for.
    `filters` are the subscriptions to commands and documents, `state_filters` those of them to documents, which are
    retained; `echoed` are those to the punches that the bridge itself publishes.
    `tried` maps topics that stand for its other messages to what they are.
    `delay_limit_s` is how old a request of a command with a `delay_limit` may be, in seconds; None: any age.
    """

    def __init__(self, config: Config, commands: dict[str, Command], inner: Mapping[str, Command]) -> None:
        self.commands = commands
        self.all_commands = commands | dict(inner) | {DESIRED: DOCUMENT}
        self.topics = Topics(config.mqtt.base_topic)
        self.replace(config)

    def replace(self, config: Config) -> None:
        """Use this configuration from now on."""
        self.config = config
        self.state_filters = document_filters(config)
        self.filters = [*command_filters(config, self.commands), *self.state_filters]
        self.echoed = punch_filters(config)
        self.tried = published_shapes(config, self.commands)
        self.delay_limit_s = delay_limit_s(config, self.commands.values())

    @property
    def reserved(self) -> list[str]:
        """The filters of topics that no caller may name as Response Topic."""
        return [*self.filters, self.topics.state, self.topics.plan("+", DESIRED), *own_filters(self.config)]
