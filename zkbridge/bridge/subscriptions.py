"""What the bridge subscribes to, and on which topic each subscription can be tried."""

from __future__ import annotations

from collections.abc import Collection

from zkbridge.config.models import Config
from zkbridge.contract.topics import BRIDGE, Topics


def command_filters(config: Config, commands: Collection[str]) -> list[str]:
    """One filter a command, or one for each command and device where unknown devices are left to other bridges."""
    topics = Topics(config.mqtt.base_topic)
    devices = ["+"] if config.mqtt.unknown_devices == "answer" else [*config.devices, *config.groups]
    return [topics.command(device, name) for device in devices for name in commands]


def echoes(config: Config, commands: Collection[str]) -> dict[str, str]:
    """For each filter of a command the topic that tries it without asking a device: `bridge` is never a device.

    A filter of one device has no such topic.
    """
    if config.mqtt.unknown_devices == "ignore":
        return {}
    topics = Topics(config.mqtt.base_topic)
    return {topics.command("+", name): topics.command(BRIDGE, name) for name in commands}
